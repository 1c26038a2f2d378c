"""The package `jetway_client`: connecting, reading, writing, and what it says when something is wrong."""

import os
import pathlib
import subprocess
import sys
import venv
from collections.abc import Iterator

import client_wheel
import data
import jetway_client
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from jetway_client import Address, AddressError
from jetway_node import ADMIN, PASSWORD, Node

pytestmark = pytest.mark.covers("CommandStatementQuery", client="jetway-client")


@pytest.fixture
def client(node: Node) -> Iterator[jetway_client.Connection]:
    with jetway_client.connect(node.uri, user=ADMIN, password=PASSWORD, autocommit=True) as connection:
        yield connection


# Addresses


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("jetway://h", "grpc+tcp://h:50050"),
        ("jetway://h:1?tls=true", "grpc+tls://h:1"),
        ("jetway+tls://h:1", "grpc+tls://h:1"),
        ("grpc://h:1", "grpc+tcp://h:1"),
        ("grpc+tls://h:1/acme", "grpc+tls://h:1"),
        ("http://h:1/", "grpc+tcp://h:1"),
        ("https://h", "grpc+tls://h:50050"),
        ("h:1", "grpc+tcp://h:1"),
        ("jetway://[::1]:7", "grpc+tcp://[::1]:7"),
    ],
)
def test_addresses_as_people_paste_them(url, uri):
    assert Address.parse(url).uri == uri


def test_an_address_carries_credentials_and_account():
    address = Address.parse("jetway://me:p%40ss@h/acme?timeout=5", user=None)
    assert (address.user, address.password, address.options["schema"]) == ("me", "p@ss", "acme")
    assert "p@ss" not in repr(address) and "p@ss" not in address.uri
    assert address.database_options()["adbc.flight.sql.rpc.timeout_seconds.fetch"] == "5.0"


def test_the_environment_names_the_node(monkeypatch):
    monkeypatch.setenv("JETWAY_URL", "jetway://elsewhere:9")
    monkeypatch.setenv("JETWAY_TOKEN", "jw_1")
    assert (Address.parse().host, Address.parse().token) == ("elsewhere", "jw_1")
    assert Address.parse("jetway://me:x@h").token is None


@pytest.mark.parametrize(
    ("url", "options", "advice"),
    [
        ("postgres://h", {}, "jetway://"),
        ("jetway://h:99999", {}, "port"),
        ("jetway://", {}, "host"),
        ("jetway://h?timeuot=5", {}, "did you mean 'timeout'"),
        ("jetway://h?timeout=soon", {}, "seconds"),
        ("grpc://h?tls=true", {}, "contradict"),
        ("jetway://h?tls=perhaps", {}, "true or false"),
        ("jetway://h?tls=false", {"ca": "/nowhere.pem"}, "cannot be read"),
        ("jetway://h?tls=true", {"cert": "/nowhere.pem"}, "both cert and key"),
        ("jetway://me:x@h", {"token": "t"}, "token"),
    ],
)
def test_a_wrong_address_is_refused_with_what_to_write(url, options, advice):
    with pytest.raises(AddressError, match=advice):
        Address.parse(url, **options).database_options()


def test_what_is_wrong_with_a_connection_is_said(node: Node, tmp_path: pathlib.Path):
    http = node.http.partition("://")[2] or node.http
    for url, advice in [
        ("grpc://127.0.0.1:1", "nothing listens at 127.0.0.1:1"),
        (node.uri.replace("grpc://", "grpc+tls://"), "does not encrypt"),
        (f"jetway://{http}", "Flight"),
    ]:
        with pytest.raises(jetway_client.OperationalError, match=advice):
            jetway_client.connect(url, user=ADMIN, password=PASSWORD, connect_timeout=10)
    with pytest.raises(jetway_client.Error, match="password"):
        jetway_client.connect(node.uri, user=ADMIN, password="wrong")


def test_a_token_is_enough(node: Node):
    with jetway_client.connect(node.uri, token=node.token("jetway-client")) as connection:
        assert connection.sql("SELECT 1").one() == 1


# Reading


def test_a_result_in_every_form(client):
    sql = "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(n, s) ORDER BY n"
    assert client.sql(sql).arrow().to_pydict() == {"n": [1, 2], "s": ["a", None]}
    assert client.sql(sql).pandas()["n"].tolist() == client.sql(sql).df()["n"].tolist() == [1, 2]
    assert str(client.sql(sql).pandas(arrow_types=True)["n"].dtype) == "int64[pyarrow]"
    assert client.sql(sql).polars().rows() == client.sql(sql).rows() == [(1, "a"), (2, None)]
    assert sum(batch.num_rows for batch in client.sql(sql)) == 2
    with pytest.raises(ValueError, match="2 rows"):
        client.sql(sql).one()


@pytest.mark.covers("CommandGetTables", client="jetway-client")
def test_tables_are_listed_and_read_without_system_columns(client, table):
    client.ingest(table, data.small(), mode="create")
    (found,) = client.tables(ADMIN, table.replace("_", "-"))
    assert (found.catalog, found.schema, found.type) == ("jetway", ADMIN, "TABLE")
    for name in (table, f"{ADMIN}.{table}", str(found)):
        assert client.read(name, where="id >= 1", limit=5).arrow().column_names == ["id", "name"]
    assert client.schema(table).names[:4] == ["offset", "op", "system_time", "event_time"]


@pytest.mark.covers("CommandStatementQuery", client="polars")
@pytest.mark.covers("CommandStatementQuery", client="pandas")
def test_pandas_and_polars_take_the_connection_as_arrow(client, monkeypatch):
    # Row by row would work as well, only slowly and with types guessed.
    monkeypatch.setattr(jetway_client.Cursor, "fetchall", lambda cursor: pytest.fail("rows instead of Arrow"))
    assert pl.read_database("SELECT 1.5 AS x", client).rows() == [(1.5,)]
    assert pd.read_sql("SELECT 1.5 AS x", client)["x"].tolist() == [1.5]


# Writing


def everything(n: int) -> dict[str, object]:
    table = data.small(n)
    return {
        "arrow": table,
        "reader": table.to_reader(),
        "pandas": table.to_pandas(),
        "polars": pl.from_arrow(table),
        "batches": (batch for batch in table.to_batches()),
        "dicts": table.to_pylist(),
    }


@pytest.mark.covers("CommandStatementIngest", client="jetway-client")
@pytest.mark.parametrize("kind", everything(1))
def test_rows_come_from_anything_that_holds_them(client, table, kind):
    assert client.ingest(f"{ADMIN}.{table}", everything(3)[kind], mode="create") == 3
    assert client.read(table).arrow().to_pydict() == data.small(3).to_pydict()


@pytest.mark.covers("CommandStatementIngest", client="jetway-client")
def test_a_push_with_the_same_key_is_taken_in_once(client, table):
    for _ in range(2):
        assert client.ingest(table, data.small(3), idempotency_key="monday") == 3
    assert client.sql(f"SELECT count(*) FROM {table}").one() == 3


@pytest.mark.covers("CommandStatementIngest", client="jetway-client")
def test_one_batch_larger_than_a_message_is_cut(client, table):
    large = pa.table({"x": pa.array(["y" * 1000]).take(pa.array([0] * 40_000))}).combine_chunks()
    assert large.nbytes > 32 * 1024 * 1024 and len(large.to_batches()) == 1
    assert client.ingest(table, large) == 40_000


def test_what_holds_no_rows_is_refused(client, table):
    with pytest.raises(TypeError, match="rows cannot come from int"):
        client.ingest(table, 5)


@pytest.mark.covers("CommandStatementUpdate", client="jetway-client")
def test_an_insert_has_a_count_and_no_result(client, table):
    client.ingest(table, data.small(1))
    with client.cursor() as cursor:
        cursor.execute(f"-- more\n INSERT INTO {table} (id, name) VALUES (7, 'x'), (8, 'y')")
        assert (cursor.rowcount, cursor.description) == (2, None)
    assert client.sql(f"SELECT count(*) FROM {table}").one() == 3


# Transactions


@pytest.mark.covers("BeginTransaction", client="jetway-client")
@pytest.mark.covers("EndTransaction", client="jetway-client")
def test_a_transaction_is_committed_or_forgotten_whole(client, node: Node, table):
    def count() -> object:
        return client.sql(f"SELECT count(*) FROM {table}").one()

    client.ingest(table, data.small(1))
    with jetway_client.connect(node.uri, user=ADMIN, password=PASSWORD) as other:
        with other.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} (id, name) VALUES (?, ?)", [(1, "a"), (2, "b")])
            cursor.execute(f"INSERT INTO {table} (id, name) VALUES (3, 'c')")
        assert count() == 1
        # The driver would commit it at once, whatever becomes of the transaction.
        with pytest.raises(jetway_client.NotSupportedError, match="commit"):
            other.ingest(table, data.small(1))
        other.rollback()
        assert count() == 1
        other.ingest(table, data.small(1))
        assert count() == 2
        other.cursor().execute(f"INSERT INTO {table} (id, name) VALUES (3, 'c')")
    assert count() == 3
    with pytest.raises(ZeroDivisionError):
        with jetway_client.connect(node.uri, user=ADMIN, password=PASSWORD) as other:
            other.cursor().execute(f"INSERT INTO {table} (id, name) VALUES (4, 'd')")
            raise ZeroDivisionError
    assert count() == 3


def test_the_session_is_as_the_address_says(node: Node):
    url = f"{node.uri}/someone?time_zone=Europe/Berlin&compression=zstd"
    with jetway_client.connect(url, user=ADMIN, password=PASSWORD) as connection:
        assert connection.current_schema() == "someone"
        assert connection.sql("SELECT now()").arrow().schema[0].type.tz == "Europe/Berlin"


# The package


def test_the_wheel_works_in_an_environment_of_its_own(node: Node, tmp_path: pathlib.Path):
    """Its dependencies are those of the tests, so that nothing is fetched."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--no-index", str(client_wheel.WHEEL)],
        check=True,
        env=environment,
    )
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "tests.pth").write_text(str(pathlib.Path(pa.__file__).parents[1]))
    program = (
        "import jetway_client as j, sys; c = j.connect(sys.argv[1]); "
        "print(j.__file__, j.apilevel, j.paramstyle, c.sql('SELECT 41 + 1').one()); c.close()"
    )
    environment |= {"JETWAY_TOKEN": node.token("wheel")}
    done = subprocess.run([python, "-c", program, node.uri], capture_output=True, text=True, env=environment)
    assert done.stdout.split()[1:] == ["2.0", "qmark", "42"], done.stderr
    assert done.stdout.startswith(str(site))
    assert (site / "jetway_client" / "py.typed").exists()
