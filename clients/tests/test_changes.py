"""Rows that SQL changes and removes, and datasets as they were, through the ADBC driver."""

from collections.abc import Iterator

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pytest
from adbc_driver_flightsql import DatabaseOptions
from jetway_node import ADMIN, PASSWORD, Node


@pytest.fixture
def stock(cursor: dbapi.Cursor, table: str) -> str:
    """A table with a key and three rows, at the offsets 0 to 2."""
    cursor.execute(f"CREATE TABLE {table} (item VARCHAR NOT NULL PRIMARY KEY, pieces INT)")
    cursor.execute(f"INSERT INTO {table} VALUES ('nail', 100), ('saw', 2), ('screw', 40)")
    return table


def state(cursor: dbapi.Cursor, table: str, point: str = "") -> list[tuple]:
    cursor.execute(f"SELECT item, pieces FROM to_table('{table}'{point}) ORDER BY item")
    return cursor.fetchall()


@pytest.mark.covers("StatementUpdate", client="ADBC Python", traps=[21])
def test_execute_changes_and_removes_rows_once(cursor: dbapi.Cursor, stock: str):
    cursor.execute(f"UPDATE {stock} SET pieces = pieces + 1 WHERE pieces < 50")
    assert cursor.rowcount == 2
    assert state(cursor, stock) == [("nail", 100), ("saw", 3), ("screw", 41)]
    cursor.execute(f"DELETE FROM {ADMIN}.{stock} WHERE item = 'saw'")
    assert cursor.rowcount == 1
    assert state(cursor, stock) == [("nail", 100), ("screw", 41)]
    cursor.execute(f"SELECT op FROM changes('{stock}', 2) ORDER BY \"offset\"")
    assert [op for (op,) in cursor.fetchall()] == [2, 3, 2, 3, 1]


@pytest.mark.covers("PreparedStatementUpdate", client="ADBC Python")
def test_executemany_with_parameters_is_one_commit(cursor: dbapi.Cursor, stock: str):
    cursor.executemany(f"UPDATE {stock} SET pieces = ? WHERE item = ?", [(7, "saw"), (8, "nail"), (9, "hammer")])
    assert cursor.rowcount == 2
    assert state(cursor, stock) == [("nail", 8), ("saw", 7), ("screw", 40)]
    cursor.execute(f"SELECT count(DISTINCT system_time) FROM {stock} WHERE op > 0")
    assert cursor.fetchone() == (1,)
    with pytest.raises(adbc_driver_manager.Error, match="one after the other"):
        cursor.executemany(f"UPDATE {stock} SET pieces = ? WHERE item = ?", [(1, "saw"), (2, "saw")])
    cursor.executemany(f"DELETE FROM {stock} WHERE item = ?", [("saw",), ("nail",)])
    assert state(cursor, stock) == [("screw", 40)]


@pytest.mark.covers("StatementUpdate", client="ADBC Python")
def test_a_change_with_a_key_is_made_once(node: Node, cursor: dbapi.Cursor, stock: str):
    key = {adbc_driver_flightsql.ConnectionOptions.RPC_CALL_HEADER_PREFIX.value + "x-jetway-idempotency-key": stock}
    for _ in range(2):
        with node.connect() as connection, connection.cursor() as other:
            other.adbc_statement.set_options(**key)
            other.execute(f"UPDATE {stock} SET pieces = pieces + 1")
            assert other.rowcount == 3
    assert state(cursor, stock) == [("nail", 101), ("saw", 3), ("screw", 41)]


def test_what_has_no_key_is_refused_with_advice(node: Node, cursor: dbapi.Cursor, table: str):
    cursor.execute(f"CREATE TABLE {table} AS SELECT 1 AS n")
    for statement in [f"UPDATE {table} SET n = 2", f"DELETE FROM {table}"]:
        with pytest.raises(adbc_driver_manager.Error, match="PRIMARY KEY"):
            cursor.execute(statement)


@pytest.mark.covers("StatementQuery", client="ADBC Python")
def test_the_past_stays_as_it_was(node: Node, cursor: dbapi.Cursor, stock: str):
    cursor.execute(f"SELECT max(system_time) FROM {stock}")
    before = cursor.fetchone()[0].isoformat()
    cursor.execute(f"UPDATE {stock} SET pieces = 0")
    then = [("nail", 100), ("saw", 2), ("screw", 40)]
    assert state(cursor, stock, ", 2") == then
    assert state(cursor, stock, f", '{before}'") == then
    for point in ["2", f"'{before}'"]:
        cursor.execute(f"SELECT item, pieces FROM {stock} FOR SYSTEM_TIME AS OF {point} ORDER BY item")
        assert cursor.fetchall() == then
    with pytest.raises(adbc_driver_manager.Error, match="its last one is 8"):
        cursor.execute(f"SELECT * FROM {stock} FOR VERSION AS OF 9")


@pytest.fixture
def session(node: Node) -> Iterator[dbapi.Connection]:
    arguments = {"username": ADMIN, "password": PASSWORD, DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
    with dbapi.connect(node.uri, db_kwargs=arguments, autocommit=True) as connection:
        yield connection


@pytest.mark.covers("SetSessionOptions", client="ADBC Python", traps=[30])
def test_a_session_reads_the_past(session: dbapi.Connection, cursor: dbapi.Cursor, stock: str):
    option = "adbc.flight.sql.session.option.as_of"
    cursor.execute(f"UPDATE {stock} SET pieces = 0 WHERE item = 'nail'")
    session.adbc_connection.set_options(**{option: "2"})
    with session.cursor() as past:
        past.execute(f"SELECT sum(pieces) FROM {stock}")
        assert past.fetchone() == (142,)
        with pytest.raises(adbc_driver_manager.Error, match="cannot be changed"):
            past.execute(f"DELETE FROM {stock}")
    with pytest.raises(adbc_driver_manager.Error):
        session.adbc_connection.set_options(**{option: "soon"})


@pytest.mark.covers("GetTables", client="ADBC Python")
def test_views_are_listed_and_read(connection: dbapi.Connection, cursor: dbapi.Cursor, stock: str):
    view = f"few_{stock}"
    cursor.execute(f"CREATE VIEW {view} AS SELECT item, pieces FROM to_table('{stock}') WHERE pieces < 50")
    cursor.execute(f"UPDATE {stock} SET pieces = 30 WHERE item = 'nail'")
    cursor.execute(f"SELECT item FROM {ADMIN}.{view} WHERE pieces > ? ORDER BY item", (10,))
    assert cursor.fetchall() == [("nail",), ("screw",)]
    name = view.replace("_", "-")
    objects = connection.adbc_get_objects(depth="columns", table_name_filter=name).read_all().to_pylist()
    tables = [table for schema in objects[0]["catalog_db_schemas"] for table in schema["db_schema_tables"]]
    assert [(table["table_name"], table["table_type"]) for table in tables] == [(name, "VIEW")]
    assert [column["column_name"] for column in tables[0]["table_columns"]] == ["item", "pieces"]
    cursor.execute(f"SELECT definition FROM information_schema.views WHERE table_name = '{name}'")
    assert stock in cursor.fetchone()[0]
    with pytest.raises(adbc_driver_manager.Error, match="is a view"):
        cursor.execute(f"DELETE FROM {view}")
    with pytest.raises(adbc_driver_manager.Error, match="view of that name"):
        cursor.execute(f"CREATE TABLE {view} (n INT)")
    cursor.execute(f"DROP VIEW {view}")
    with pytest.raises(adbc_driver_manager.Error, match="no such dataset"):
        cursor.execute(f"SELECT * FROM {view}")


def test_views_outlive_the_node(fresh_node: Node):
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE VIEW answer AS SELECT 42 AS n")
    fresh_node.kill()
    fresh_node.start()
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM answer")
        assert cursor.fetchone() == (42,)
