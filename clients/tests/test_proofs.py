"""Answers with a proof: made over Arrow Flight, HTTP and the command line, and checked by each of them and by Python alone."""

import base64
import copy
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import adbc_driver_flightsql.dbapi as dbapi
import jetway_client.verify
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jetway_client.verify import ProofError, canonical
from jetway_node import ADMIN, Node

Document = dict[str, Any]


@dataclasses.dataclass
class Http:
    """A client of the HTTP side with an access token."""

    node: Node
    token: str | None

    def send(self, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.node.http + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def query(self, query: str, **options: Any) -> Document:
        status, document = self.send("/query", {"query": query, **options})
        assert status == 200, document
        return document

    def verify(self, document: Document, signer: str = "") -> tuple[int, Any]:
        return self.send("/verify" + (f"?signer={urllib.parse.quote(signer)}" if signer else ""), document)


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token("proofs")


@pytest.fixture
def http(node: Node, token: str) -> Http:
    return Http(node, token)


@pytest.fixture(scope="module")
def signer(node: Node) -> str:
    return node.command("identity")


@pytest.fixture
def rows(cursor: dbapi.Cursor, table: str) -> Iterator[str]:
    """A table of three rows."""
    cursor.execute(f"CREATE TABLE {table} AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS t (id, name)")
    yield table
    cursor.execute(f"DROP TABLE IF EXISTS {table}")


@pytest.fixture
def prove(node: Node, token: str, tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    """Writes an answer and its proof with the command line."""

    def prove(statement: str) -> pathlib.Path:
        path = tmp_path / "answer.json"
        done = node.client_command("sql", statement, "--proof", str(path), "--output", "csv", token=token)
        assert done.returncode == 0, done.stderr
        assert not list(tmp_path.glob("*.partial"))
        return path

    return prove


@pytest.fixture
def check(node: Node, token: str, tmp_path: pathlib.Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Checks a document with the command line."""

    def check(document: Document, *options: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "checked.json"
        path.write_text(json.dumps(document))
        return node.client_command("verify-query", str(path), *options, token=token)

    return check


def multihash(value: Any) -> str:
    return "f1620" + hashlib.sha3_256(canonical(value)).hexdigest()


def sign(document: Document, key: Ed25519PrivateKey) -> tuple[Document, str]:
    """The document with hashes that fit, signed by somebody else."""
    document = copy.deepcopy(document)
    document["commitment"] = {
        "inputHash": multihash(document["input"]),
        "outputHash": multihash(document["output"]),
        "subQueriesHash": multihash(document["subQueries"]),
    }
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, digits = int.from_bytes(b"\xed\x01" + key.public_key().public_bytes_raw(), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = alphabet[digit] + digits
    signature = base64.urlsafe_b64encode(key.sign(canonical(document["commitment"]))).decode().rstrip("=")
    name = f"did:key:z{digits}"
    document["proof"] = {"type": "Ed25519Signature2020", "verificationMethod": name, "proofValue": f"u{signature}"}
    return document, name


# Making and checking


@pytest.mark.covers("DoAction", client="jetway CLI")
def test_an_answer_of_the_command_line_is_proved_everywhere(node, rows, prove, check, http, signer, token):
    path = prove(f"SELECT name, id FROM {rows} WHERE id < 3 ORDER BY id DESC")
    document = json.loads(path.read_text())
    assert document["output"]["data"] == [["b", 2], ["a", 1]]
    assert [field["name"] for field in document["output"]["schema"]["fields"]] == ["name", "id"]
    assert [state["alias"] for state in document["input"]["datasets"]] == [f"{ADMIN}/{rows.replace('_', '-')}"]

    done = node.client_command("verify-query", str(path), token=token)
    assert done.returncode == 0, done.stderr
    assert f"signed by  {signer}\n" in done.stdout and "gives the same answer again" in done.stdout
    assert jetway_client.verify.verify(path.read_bytes(), [signer]) == signer
    assert http.verify(document, signer) == (200, {"ok": True})
    # As the reference's clients send it: without the answer.
    del document["output"]
    assert http.verify(document) == (200, {"ok": True})

    told = json.loads(node.client_command("verify-query", str(path), "--output", "json", token=token).stdout)
    assert (told["ok"], told["signer"], told["knownSigner"], told["ranAgain"]) == (True, signer, True, True)
    offline = node.command("verify-query", str(path), "--offline", "--signer", signer)
    assert "was not run again" in offline and f"signed by  {signer}\n" in offline
    workspace = node.command("verify-query", str(path), "--workspace")
    assert "gives the same answer again" in workspace and f"signed by  {signer}\n" in workspace


def test_a_node_tells_its_identity_and_keeps_it(fresh_node: Node):
    identity = fresh_node.command("identity")
    assert identity.startswith("did:key:z6Mk")
    key = fresh_node.data_dir / "signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with urllib.request.urlopen(fresh_node.http + "/system/info", timeout=60) as response:
        assert json.load(response)["identity"] == identity
    assert fresh_node.stop() == 0
    fresh_node.start()
    client, options = fresh_node.flight()
    with client:
        (told,) = client.do_action(flight.Action("jetway.Identity", b""), options)
    assert told.body.to_pybytes().decode() == identity
    assert fresh_node.stop() == 0
    # RFC 8032 and the multicodec table say what this key is called.
    configured = base64.urlsafe_b64encode(bytes([123] * 32)).decode().rstrip("=")
    fresh_node.environment = {"JETWAY_NODE__SIGNING_KEY": configured}
    assert fresh_node.command("identity") == "did:key:z6Mko2nqhQ9wYSTS5Giab2j1aHzGnxHimqwmFeEVY8aNsVnN"


def change_answer(document: Document) -> None:
    document["output"]["data"][0][0] = 7


def change_input(document: Document) -> None:
    document["input"]["query"] += " LIMIT 9"


def change_pin(document: Document) -> None:
    document["input"]["datasets"][0]["blockHash"] = multihash("another block")


def change_commitment(document: Document) -> None:
    document["commitment"]["inputHash"] = multihash("something else")


def change_signature(document: Document) -> None:
    value = document["proof"]["proofValue"]
    document["proof"]["proofValue"] = value[:5] + ("A" if value[5] != "A" else "B") + value[6:]


def change_signer(document: Document) -> None:
    _, name = sign(document, Ed25519PrivateKey.generate())
    document["proof"]["verificationMethod"] = name


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (change_answer, "InvalidRequest::OutputHash", "the answer was changed"),
        (change_input, "InvalidRequest::InputHash", "the input was changed"),
        (change_pin, "InvalidRequest::InputHash", "the input was changed"),
        (change_commitment, "InvalidRequest::InputHash", "the input was changed"),
        (change_signature, "InvalidRequest::BadSignature", "the signature is wrong"),
        (change_signer, "InvalidRequest::BadSignature", "the signature is wrong"),
    ],
    ids=["answer", "input", "pin", "commitment", "signature", "signer"],
)
def test_whatever_is_changed_is_noticed_everywhere(rows, prove, check, http, signer, change, kind, says):
    document = json.loads(prove(f"SELECT id, name FROM {rows} ORDER BY id").read_text())
    change(document)
    status, told = http.verify(document)
    assert (status, told["ok"], told["error"]["kind"]) == (400, False, kind)
    assert says in told["error"]["message"]
    with pytest.raises(ProofError, match=says) as caught:
        jetway_client.verify.verify(document, [signer])
    assert caught.value.kind == kind
    done = check(document)
    assert done.returncode == 1 and says in done.stderr
    done = check(document, "--output", "json", "--offline")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["kind"] == kind


def test_what_somebody_else_signed_is_told_from_what_the_node_signed(rows, prove, check, http, signer):
    document = json.loads(prove(f"SELECT id, name FROM {rows} ORDER BY id").read_text())
    change_answer(document)
    false, forger = sign(document, Ed25519PrivateKey.generate())
    # Hashes and signature fit; the signer is another one, and so is the answer.
    assert jetway_client.verify.verify(false) == forger
    with pytest.raises(ProofError, match=f"signed by {forger}") as caught:
        jetway_client.verify.verify(false, [signer])
    assert caught.value.kind == "InvalidRequest::UnknownSigner"
    assert f"signed by {forger}, and not by {signer}" in check(false).stderr
    assert http.verify(false, signer)[1]["error"]["kind"] == "InvalidRequest::UnknownSigner"
    done = check(false, "--signer", forger)
    assert done.returncode == 1 and "gives another answer" in done.stderr
    status, told = http.verify(false, forger)
    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::OutputMismatch")
    assert told["error"]["expected_hash"] == false["commitment"]["outputHash"] != told["error"]["actual_hash"]


def test_blocks_and_datasets_that_are_not_there_are_told(node, rows, prove, check, http):
    document = json.loads(prove(f"SELECT id, name FROM {rows} ORDER BY id").read_text())
    change_pin(document)
    no_block, forger = sign(document, Ed25519PrivateKey.generate())
    status, told = http.verify(no_block)
    state = document["input"]["datasets"][0]
    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetBlockNotFound")
    assert (told["error"]["dataset_id"], told["error"]["block_hash"]) == (state["id"], state["blockHash"])
    assert "has no such block" in check(no_block, "--signer", forger).stderr

    state["id"] = "did:odf:fed01666f6fb3b7370000666f6fb3b737000060f6f60600000000895cddbcb7f7b8cc"
    nowhere, forger = sign(document, Ed25519PrivateKey.generate())
    status, told = http.verify(nowhere)
    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetNotFound")
    assert told["error"]["dataset_id"] == state["id"]
    assert "you may not read it" in check(nowhere, "--signer", forger).stderr


def test_nothing_is_told_without_credentials(node: Node, rows, prove):
    document = json.loads(prove(f"SELECT id FROM {rows}").read_text())
    anonymous = Http(node, None)
    assert anonymous.verify(document)[0] == 401
    assert anonymous.send("/query", {"query": f"SELECT id FROM {rows}"})[0] == 401


# What is pinned


def test_proofs_outlive_later_commits_of_everything_that_was_read(cursor, table, prove, check, http):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL, price BIGINT, PRIMARY KEY (id))")
    cursor.execute(f"INSERT INTO {table} VALUES (1, 10), (2, 20)")
    cursor.execute(f"INSERT INTO {table} VALUES (2, 25)")
    statements = [
        f"SELECT id, price FROM {table} ORDER BY id",
        f"SELECT * FROM to_table('{table}') ORDER BY id",
        f"SELECT count(*) FROM at('{table}', 1)",
        f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {table} WHERE id = 2 HAVING count(*) > 1)",
        f"WITH t AS (SELECT max(price) AS most FROM {table}) SELECT most, (SELECT sum(id) FROM to_table('{table}')) FROM t",
        f'SELECT "id" FROM "{ADMIN}/{table}" UNION ALL SELECT price FROM {ADMIN}.{table}',
    ]
    documents = [json.loads(prove(statement).read_text()) for statement in statements]
    cursor.execute(f"INSERT INTO {table} VALUES (1, 11), (3, 30)")
    for statement, document in zip(statements, documents, strict=True):
        assert len(document["input"]["datasets"]) == 1, statement
        done = check(document)
        assert done.returncode == 0, (statement, done.stderr)
    now = http.query(statements[0], dataFormat="JsonAoA")["output"]["data"]
    assert len(now) > len(documents[0]["output"]["data"])


def test_a_name_in_a_proof_means_the_same_dataset_for_everybody(node, cursor, rows, prove, check):
    document = json.loads(prove(f"SELECT count(*) AS n FROM {rows}").read_text())
    renamed = f"{rows}_now"
    node.command("rename", f"{ADMIN}/{rows.replace('_', '-')}", renamed.replace("_", "-"))
    try:
        # Another dataset has the name now; the proof is about the first one. A node looks for new names once a second.
        time.sleep(1.1)
        cursor.execute(f"CREATE TABLE {rows} AS SELECT 1 AS id")
        assert check(document).returncode == 0, check(document).stderr
    finally:
        cursor.execute(f"DROP TABLE IF EXISTS {renamed}")


def test_rows_without_an_order_come_in_the_same_order(cursor, table, prove, check):
    cursor.execute(f"CREATE TABLE {table} AS SELECT value AS id FROM generate_series(1, 1000)")
    for start in range(1, 8):
        cursor.execute(f"INSERT INTO {table} SELECT value AS id FROM generate_series({start}000, {start}999)")
    path = prove(f"SELECT id % 1000 AS k, id FROM {table} WHERE id % 3 = 0")
    group = prove(f"SELECT id % 977 AS k, count(*) AS n, avg(id) AS mean FROM {table} GROUP BY id % 977")
    for path in (path, group):
        for _ in range(3):
            done = check(json.loads(path.read_text()))
            assert done.returncode == 0, done.stderr


# HTTP


def test_rows_in_every_format_with_what_is_asked_for(rows, http):
    statement = f"SELECT id, name FROM {rows} ORDER BY id"
    assert http.query(statement) == {
        "output": {
            "data": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": None}],
            "dataFormat": "JsonAoS",
        }
    }
    assert http.query(statement, dataFormat="JsonAoA", skip=1, limit=1)["output"]["data"] == [[2, "b"]]
    assert http.query(statement, dataFormat="json-soa")["output"]["data"] == {"id": [1, 2, 3], "name": ["a", "b", None]}
    with_schema = http.query(statement, schemaFormat="OdfJson")["output"]
    assert with_schema["schemaFormat"] == "OdfJson"
    assert [field["name"] for field in with_schema["schema"]["fields"]] == ["id", "name"]
    arguments = urllib.parse.urlencode({"query": statement, "format": "JsonAoA", "include": "input,schema", "limit": 2})
    status, answer = http.send(f"/query?{arguments}")
    assert status == 200 and answer["output"]["data"] == [[1, "a"], [2, "b"]]
    assert answer["input"]["include"] == ["Input", "Schema"] and answer["input"]["limit"] == 2
    assert "commitment" not in answer and len(answer["input"]["datasets"]) == 1


@pytest.mark.parametrize("data_format", ["JsonAoS", "JsonSoA", "JsonAoA"])
@pytest.mark.parametrize("schema_format", [None, "ArrowJson", "OdfJson", "OdfYaml", "Parquet"])
def test_answers_of_http_are_proved_in_every_format(rows, http, check, signer, data_format, schema_format):
    schema = {"schemaFormat": schema_format} if schema_format else {}
    statement = f'SELECT id, name, CAST(id AS DOUBLE) / 3 AS third, "offset", system_time FROM {rows} ORDER BY id'
    document = http.query(statement, include=["proof"], dataFormat=data_format, limit=2, **schema)
    assert jetway_client.verify.verify(document, [signer]) == signer
    assert http.verify(document) == (200, {"ok": True})


def test_values_of_every_kind_have_one_form(http, signer):
    statement = """
        SELECT 9007199254740993 AS big, -0.0e0 AS zero, 1e300 AS large, 1e-7 AS small, 0.1e0 AS tenth, 'é"\n\\😀' AS text,
               X'00ff' AS bytes, CAST('1.50' AS DECIMAL(5, 2)) AS price, DATE '2024-02-29' AS day, true AS yes, NULL AS nothing,
               CAST('NaN' AS DOUBLE) AS nan, [1, 2] AS list, {'b': 1, 'a': 2} AS struct,
               arrow_cast(TIMESTAMP '2024-02-29T12:00:00.5', 'Timestamp(Microsecond, Some("UTC"))') AS instant
    """
    document = http.query(statement, include=["Proof"])
    assert jetway_client.verify.verify(document, [signer]) == signer
    (row,) = document["output"]["data"]
    assert row == {
        "big": 9007199254740993, "zero": 0, "large": 1e300, "small": 1e-7, "tenth": 0.1, "text": 'é"\n\\😀',
        "bytes": "00ff", "price": "1.50", "day": "2024-02-29", "yes": True, "nothing": None, "nan": "NaN", "list": [1, 2],
        "struct": {"a": 2, "b": 1}, "instant": "2024-02-29T12:00:00.500Z",
    }  # fmt: skip
    # One digit is as much a change as any other.
    row["big"] += 1
    with pytest.raises(ProofError, match="the answer was changed"):
        jetway_client.verify.verify(document)


def test_datasets_can_be_named_and_pinned_by_the_request(cursor, rows, http):
    (state,) = http.query(f"SELECT 1 FROM {rows}", include=["input"])["input"]["datasets"]
    cursor.execute(f"INSERT INTO {rows} VALUES (4, 'd')")
    count = "SELECT count(*) AS n FROM anything"
    pinned = {**state, "alias": "anything"}
    assert http.query(count, datasets=[pinned])["output"]["data"] == [{"n": 3}]
    del pinned["blockHash"]
    assert http.query(count, datasets=[pinned])["output"]["data"] == [{"n": 4}]
    missing = {**state, "blockHash": multihash("none")}
    assert http.send("/query", {"query": count, "datasets": [missing]})[0] == 404
    status, told = http.send("/query", {"query": f"SELECT 1 FROM {rows}", "datasets": []})
    assert status == 400 and "does not list" in told["message"]


@pytest.mark.parametrize(
    ("request_body", "status", "says"),
    [
        ({"query": "SELECT 1", "limmit": 1}, 400, "limmit"),
        ({"query": "SELECT 1", "dataFormat": "csv"}, 400, "JsonAoS, JsonSoA, JsonAoA"),
        ({"query": "SELECT 1", "queryDialect": "SqlSpark"}, 400, "SqlDataFusion"),
        ({"query": "SELECT ???"}, 400, "Line: 1"),
        ({"query": "SELECT * FROM no_such_dataset"}, 404, "no such dataset"),
        ({"query": "SELECT now()", "include": ["proof"]}, 400, "cannot be proved"),
        ({"query": "SELECT * FROM system.queries", "include": ["proof"]}, 400, "cannot be proved"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, 400, "JsonAoA"),
        ({"query": "DROP TABLE x"}, 400, "not possible"),
        ([1], 400, "no query"),
    ],
)
def test_wrong_queries_are_refused_with_advice(http, request_body, status, says):
    code, told = http.send("/query", request_body)
    assert code == status and says in told["message"], told


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop("commitment"),
        lambda it: it.update(extra=1),
        lambda it: it["proof"].update(type="EcdsaSecp256k1Signature2019"),
        lambda it: it["proof"].update(proofValue="x"),
    ],
)
def test_what_is_no_proof_is_refused(rows, http, change):
    document = http.query(f"SELECT 1 AS one FROM {rows} LIMIT 1", include=["proof"])
    change(document)
    status, told = http.verify(document)
    assert status == 400 and "message" in told and "kind" not in told
    with pytest.raises(ProofError) as caught:
        jetway_client.verify.verify(document)
    assert caught.value.kind == "Malformed"


# Arrow Flight


@pytest.mark.covers("DoGet", client="pyarrow.flight")
def test_the_last_message_of_a_stream_carries_the_proof(node: Node, rows, raw, signer):
    client, options = node.flight()
    with client:
        headers = [*options.headers, (b"jetway-proof", b"true")] if hasattr(options, "headers") else None
        token = client.authenticate_basic_token("admin", "correct horse battery staple")
        options = flight.FlightCallOptions(headers=headers or [token, (b"jetway-proof", b"true")], timeout=60)
        command = flight.FlightDescriptor.for_path(ADMIN, rows.replace("_", "-"))
        info = client.get_flight_info(command, options)
        (endpoint,) = info.endpoints
        reader = client.do_get(endpoint.ticket, options)
        batches, proof = [], None
        for chunk in reader:
            batches.append(chunk.data)
            proof = chunk.app_metadata or proof
    document = json.loads(proof.to_pybytes())
    ids = [value for batch in batches for value in batch.column("id").to_pylist()]
    assert ids == [1, 2, 3]
    assert "data" not in document["output"] and document["output"]["dataFormat"] == "JsonAoA"
    names = [field["name"] for field in document["output"]["schema"]["fields"]]
    assert names == batches[0].schema.names
    assert document["proof"]["verificationMethod"] == signer


@pytest.mark.covers("DoGet", client="ADBC Python")
def test_clients_that_do_not_know_proofs_read_the_same_rows(node: Node, rows, token):
    options = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}",
        DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "jetway-proof": "true",
    }
    with dbapi.connect(node.uri, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {rows} ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,), (3,)]
        with pytest.raises(dbapi.Error, match="cannot be proved"):
            cursor.execute("SELECT random()")
            cursor.fetchall()
        with pytest.raises(dbapi.Error, match="write the values into the statement"):
            cursor.execute(f"SELECT id FROM {rows} WHERE id = ?", parameters=(1,))
            cursor.fetchall()


def test_the_check_in_python_is_a_program_of_its_own(prove, rows, signer, tmp_path):
    path = prove(f"SELECT id FROM {rows}")
    program = [sys.executable, str(pathlib.Path(jetway_client.verify.__file__)), str(path)]
    done = subprocess.run([*program, "--signer", signer], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and signer in done.stdout, done.stderr
    path.write_text(path.read_text().replace('"data":[[1]', '"data":[[5]'))
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the answer was changed" in done.stderr


def test_numbers_are_written_as_rfc_8785_says():
    for value, expected in [
        (-0.0, "0"), (1e21, "1e+21"), (9.999999999999997e22, "9.999999999999997e+22"), (1e-7, "1e-7"), (0.000001, "0.000001"),
        (333333333.33333325, "333333333.33333325"), (5e-324, "5e-324"), (295147905179352825856.0, "295147905179352830000"),
        (1424953923781206.25, "1424953923781206.2"), (123456789.0, "123456789"), (9007199254740993, "9007199254740993"),
    ]:  # fmt: skip
        assert canonical(value).decode() == expected
    assert canonical({"\ufb33": 1, "\U0001f600": "\u0001é\x7f"}).decode() == '{"\U0001f600":"\\u0001é\x7f","\ufb33":1}'
