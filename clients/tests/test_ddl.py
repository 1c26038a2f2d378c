"""Tables that are made and dropped by SQL, through the ADBC driver."""

from collections.abc import Callable

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pytest


@pytest.mark.covers("StatementUpdate", client="ADBC Python", traps=[21])
def test_a_table_is_made_filled_and_dropped(cursor: dbapi.Cursor, table: str) -> None:
    cursor.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL, name VARCHAR(20), price DECIMAL(8, 2), PRIMARY KEY (id))")
    cursor.execute(f"INSERT INTO {table} VALUES (1, 'a', 1.25), (2, 'b', 2.5)")
    cursor.execute(f"INSERT INTO {table} VALUES (2, 'c', NULL)")
    cursor.execute(f"SELECT id, name, CAST(price AS VARCHAR) FROM to_table('{table}') ORDER BY id")
    assert cursor.fetchall() == [(1, "a", "1.25"), (2, "c", None)]
    with pytest.raises(adbc_driver_manager.Error, match="already there"):
        cursor.execute(f"CREATE TABLE {table} (id BIGINT)")
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (id BIGINT)")
    cursor.execute(f"DROP TABLE {table}")
    with pytest.raises(adbc_driver_manager.Error, match="no such dataset"):
        cursor.execute(f"SELECT * FROM {table}")
    cursor.execute(f"DROP TABLE IF EXISTS {table}")


@pytest.mark.covers("StatementUpdate", client="ADBC Python", traps=[21])
def test_a_table_of_a_query_is_made_once(cursor: dbapi.Cursor, table: str, count: Callable[[str], int]) -> None:
    cursor.execute(f"CREATE TABLE {table} AS SELECT value AS n FROM generate_series(1, 1000)")
    assert cursor.rowcount == 1000
    assert count(table) == 1000


@pytest.mark.covers("StatementUpdate", client="ADBC Python")
def test_what_a_dataset_cannot_keep_is_refused(cursor: dbapi.Cursor, table: str) -> None:
    for definition, word in [
        ("(n INT DEFAULT 1)", "DEFAULT"),
        ("(n INT CHECK (n > 0))", "CHECK"),
        ("(n INT, FOREIGN KEY (n) REFERENCES other (n))", "FOREIGN KEY"),
    ]:
        with pytest.raises(adbc_driver_manager.NotSupportedError, match=word):
            cursor.execute(f"CREATE TABLE {table} {definition}")
    with pytest.raises(adbc_driver_manager.Error, match="no such dataset"):
        cursor.execute(f"SELECT * FROM {table}")
