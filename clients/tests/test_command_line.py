"""What a user does at a shell: files in, answers out, exit codes that a script can trust."""

import csv
import io
import json
import urllib.request

import data
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as parquet
import pytest
from jetway_node import ADMIN, Node


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token("command-line")


def ask(node: Node, token: str, sql: str) -> list[dict]:
    answer = node.client_command("sql", sql, "--output", "json", token=token)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def write(table: pa.Table, path, kind: str) -> None:
    match kind:
        case "parquet":
            parquet.write_table(table, path)
        case "csv":
            pyarrow.csv.write_csv(table, path)
        case "ndjson":
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_files_are_pushed_together(node, token, table, tmp_path, kind):
    paths = [tmp_path / f"{part}.{kind}" for part in range(2)]
    for path in paths:
        write(data.small(500), path, kind)
    pushed = node.client_command("ingest", *map(str, paths), "--dataset", f"{ADMIN}/{table.replace('_', '-')}", token=token)
    assert pushed.returncode == 0, pushed.stderr
    assert "1000 rows" in pushed.stderr
    answer = ask(node, token, f"SELECT count(*) AS n, sum(id) AS ids, max(name) AS last FROM {ADMIN}.{table}")
    assert answer == [{"n": 1000, "ids": 2 * 124750, "last": "row 99"}]


def test_a_file_that_is_damaged_adds_nothing(node, token, table, tmp_path):
    good, bad = tmp_path / "good.ndjson", tmp_path / "bad.ndjson"
    good.write_text('{"id": 1}\n')
    bad.write_text('{"id": 2}\n{"id":')
    pushed = node.client_command("ingest", str(good), str(bad), "--dataset", f"{ADMIN}/damaged", token=token)
    assert pushed.returncode == 1
    assert "bad.ndjson" in pushed.stderr
    assert node.client_command("sql", f"SELECT * FROM {ADMIN}.damaged", token=token).returncode == 1


def test_an_answer_as_csv(node, token):
    sql = "SELECT n, CASE WHEN n > 1 THEN 'a,\"b\"' END AS text FROM (VALUES (1), (2)) AS t(n) ORDER BY n"
    answer = node.client_command("sql", sql, "--output", "csv", token=token)
    assert list(csv.reader(io.StringIO(answer.stdout))) == [["n", "text"], ["1", ""], ["2", 'a,"b"']]


def test_a_mistake_is_told_on_standard_error(node, token):
    answer = node.client_command("sql", "SELECT * FROM nowhere", token=token)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "nowhere" in answer.stderr


def test_a_node_that_is_not_there_is_told_of(node, token):
    nobody = Node(node.data_dir)
    nobody.uri = "grpc://127.0.0.1:1"
    answer = nobody.client_command("sql", "SELECT 1", token=token)
    assert answer.returncode == 1
    assert "jetway serve" in answer.stderr


def test_a_revoked_token_no_longer_counts(node):
    token = node.token("short-lived")
    assert ask(node, token, "SELECT 1 AS one") == [{"one": 1}]
    node.command("token", "revoke", "--account", ADMIN, "--name", "short-lived")
    answer = node.client_command("sql", "SELECT 1", token=token)
    assert answer.returncode == 1
    assert "token" in answer.stderr


def test_health_and_metrics_are_served(node):
    for path in ("/system/health?type=liveness", "/system/health?type=readiness", "/system/metrics"):
        with urllib.request.urlopen(node.http + path, timeout=30) as answer:
            assert answer.status == 200


def test_a_stopped_node_leaves_everything_for_the_next(fresh_node):
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("kept", data.every_type(1000), mode="create")
    assert fresh_node.stop() == 0
    fresh_node.start()
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {ADMIN}.kept")
        assert cursor.fetchone() == (1000,)
