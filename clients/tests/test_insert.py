"""Rows that come in by SQL, and pushes that are sent twice, through the ADBC driver."""

import json

import adbc_driver_flightsql
import adbc_driver_manager
import data
import pyarrow as pa
import pytest
from jetway_node import ADMIN, Node


@pytest.mark.covers("StatementUpdate", client="ADBC Python", traps=[21])
def test_execute_of_an_insert_adds_rows_once(cursor, table, count):
    cursor.adbc_ingest(table, pa.table({"n": [1, 2], "name": ["a", "b"]}), mode="create")
    cursor.execute(f"INSERT INTO {table} VALUES (3, 'c'), (4, NULL)")
    # The driver learns that it is an update when it prepares it.
    assert cursor.rowcount == 2
    assert count(table) == 4
    cursor.execute(f"INSERT INTO {ADMIN}.{table} (name, n) SELECT upper(name), n + 10 FROM {table} WHERE name IS NOT NULL")
    assert count(table) == 7
    cursor.execute(f"SELECT n, name FROM {table} ORDER BY n")
    assert cursor.fetchall() == [(1, "a"), (2, "b"), (3, "c"), (4, None), (11, "A"), (12, "B"), (13, "C")]


@pytest.mark.covers("StatementUpdate", client="ADBC Python", traps=[21])
def test_an_update_is_answered_with_the_number_of_rows(connection, cursor, table, count):
    cursor.adbc_ingest(table, pa.table({"n": [1]}), mode="create")
    for prepared in [False, True]:
        with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
            statement.set_sql_query(f"INSERT INTO {table} SELECT n + 1 FROM {table}")
            if prepared:
                statement.prepare()
            before = count(table)
            assert statement.execute_update() == before
            assert count(table) == 2 * before


@pytest.mark.covers("StatementQuery", client="ADBC Python", traps=[21])
def test_an_insert_is_not_undone_or_repeated_by_what_is_not_fetched(node: Node, cursor, table, count):
    cursor.adbc_ingest(table, pa.table({"n": [1]}), mode="create")
    with node.connect() as connection, connection.cursor() as other:
        other.execute(f"INSERT INTO {table} VALUES (2)")
    assert count(table) == 2


def test_mistakes_in_an_insert_add_nothing(cursor, table, count):
    cursor.adbc_ingest(table, pa.table({"n": [1]}), mode="create")
    for statement, word in [
        (f"INSERT INTO {table} VALUES (1, 2)", "2 columns"),
        (f"INSERT INTO {table} (m) VALUES (1)", 'no column "m"'),
        (f"INSERT INTO {table} VALUES ('many')", "many"),
        (f"INSERT INTO no_such_{table} VALUES (1)", "no such dataset"),
    ]:
        with pytest.raises(adbc_driver_manager.Error, match=word):
            cursor.execute(statement)
    assert count(table) == 1


@pytest.mark.covers("StatementIngest", client="ADBC Python", traps=[21])
def test_a_push_with_a_key_is_taken_in_once(node: Node, cursor, table, count):
    rows = data.small()
    key = {adbc_driver_flightsql.ConnectionOptions.RPC_CALL_HEADER_PREFIX.value + "x-jetway-idempotency-key": table}
    for _ in range(2):
        with node.connect() as connection, connection.cursor() as pusher:
            pusher.adbc_statement.set_options(**key)
            assert pusher.adbc_ingest(table, rows, mode="create_append") in (rows.num_rows, -1)
    assert count(table) == rows.num_rows


def test_the_command_line_inserts_and_repeats_safely(node: Node, table, count, tmp_path):
    token, file = node.token(table), tmp_path / "rows.csv"
    file.write_text("n,name\n1,a\n2,b\n")
    dataset = f"{ADMIN}/{table.replace('_', '-')}"
    for _ in range(2):
        pushed = node.client_command("ingest", str(file), "--dataset", dataset, "--idempotency-key", table, token=token)
        assert pushed.returncode == 0, pushed.stderr
        assert "2 rows" in pushed.stderr
    assert count(table) == 2
    answer = node.client_command("sql", f"INSERT INTO {table} VALUES (3, 'c')", "--output", "json", token=token)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == [{"count": 1}]
    assert count(table) == 3
