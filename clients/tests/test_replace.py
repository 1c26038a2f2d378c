"""`replace`: the pushed rows become the state of a dataset that is merged by a key, through each client that has the mode."""

from collections.abc import Callable

import adbc_driver_manager
import flight_sql
import jetway_client
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from flight_sql import APPEND, CREATE, REPLACE
from jetway_node import ADMIN, PASSWORD, Node

FIRST = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", "b", "c"]})
SECOND = pa.table({"id": pa.array([2, 4], pa.int64()), "name": ["B", "d"]})
Push = Callable[[str, pa.Table, str], object]


def with_adbc(node: Node, table: str, rows: pa.Table, mode: str) -> None:
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode=mode)


def with_pyarrow(node: Node, table: str, rows: pa.Table, mode: str) -> None:
    client, options = node.flight()
    descriptor = flight_sql.statement_ingest(table, ADMIN, CREATE, REPLACE if mode == "replace" else APPEND)
    with client:
        flight_sql.ingest(client, options, descriptor, rows.to_batches())


def with_polars(node: Node, table: str, rows: pa.Table, mode: str) -> None:
    with node.connect() as connection:
        pl.from_arrow(rows).write_database(table, connection, engine="adbc", if_table_exists=mode)


def with_jetway_client(node: Node, table: str, rows: pa.Table, mode: str) -> None:
    with jetway_client.connect(node.uri, user=ADMIN, password=PASSWORD) as connection:
        connection.ingest(table, rows, mode=mode)


CLIENTS = [with_adbc, with_pyarrow, with_polars, with_jetway_client]


@pytest.mark.covers("StatementIngest", client="ADBC Python")
@pytest.mark.covers("StatementIngest", client="pyarrow.flight")
@pytest.mark.covers("StatementIngest", client="polars")
@pytest.mark.covers("StatementIngest", client="jetway-client")
@pytest.mark.parametrize("client", CLIENTS, ids=[client.__name__ for client in CLIENTS])
def test_replaced_rows_are_the_state_and_the_history_stays(client, node: Node, cursor, table: str):
    cursor.execute(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, name TEXT)")
    client(node, table, FIRST, "append")
    client(node, table, SECOND, "replace")
    cursor.execute(f"SELECT id, name FROM to_table('{table}') ORDER BY id")
    assert cursor.fetchall() == [(2, "B"), (4, "d")]
    cursor.execute(f"SELECT count(*) FROM {table} WHERE name IN ('a', 'b', 'c')")
    assert cursor.fetchone()[0] >= 3
    # A dataset without a key has no state that could be replaced.
    plain = f"{table}_plain"
    client(node, plain, FIRST, "append") if client is with_pyarrow else with_adbc(node, plain, FIRST, "create")
    with pytest.raises((adbc_driver_manager.Error, pa.ArrowException)) as refused:
        client(node, plain, SECOND, "replace")
    assert "key" in str(refused.value)
    cursor.execute(f"SELECT count(*) FROM {plain}")
    assert cursor.fetchone()[0] == FIRST.num_rows


@pytest.mark.covers("StatementIngest", client="pandas")
def test_pandas_replaces_the_dataset(node: Node, cursor, table: str):
    """pandas drops the table and makes another one. It finds a table only by the name that is listed, which has no underscores."""
    table = table.replace("_", "")
    with node.connect() as connection:
        for rows in (FIRST, SECOND):
            rows.to_pandas().to_sql(table, connection, if_exists="replace", index=False)
        found = pd.read_sql(f"SELECT id, name FROM {table} ORDER BY id", connection)
    assert found.to_dict("list") == {"id": [2, 4], "name": ["B", "d"]}
