"""Transactions through the ADBC driver, as its users have them: without autocommit.

The driver sends its statements in the connection's transaction, and its ingests outside of any; those are tested in Rust.
"""

import contextlib
import pathlib
import time
from collections.abc import Callable

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import grpc
import pyarrow as pa
import pytest
from flight_sql import RawFlight, command, content, field, flight_data, statement_update
from jetway_node import ADMIN, PASSWORD, Node


def connect(node: Node) -> dbapi.Connection:
    """A connection as the DBAPI makes it unless told otherwise: each commit begins the next transaction."""
    return dbapi.connect(node.uri, db_kwargs={"username": ADMIN, "password": PASSWORD})


def commits(node: Node, table: str) -> int:
    """In how many commits the rows came; each has a time of its own."""
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(DISTINCT system_time) FROM {table}")
        return cursor.fetchone()[0]


@pytest.mark.covers("BeginTransaction", client="ADBC Python")
@pytest.mark.covers("EndTransaction", client="ADBC Python")
def test_several_statements_are_one_commit(node: Node, table: str, count: Callable[[str], int]) -> None:
    other = f"{table}_other"
    with connect(node) as connection, connection.cursor() as cursor:
        # Tables are made at once, as statements about them are no part of a transaction.
        for name in (table, other):
            cursor.execute(f"CREATE TABLE {name} (n BIGINT)")
        cursor.execute(f"INSERT INTO {table} VALUES (1), (2)")
        assert cursor.rowcount == 2
        cursor.execute(f"INSERT INTO {table} VALUES (3)")
        cursor.execute(f"INSERT INTO {other} SELECT value FROM generate_series(1, 1000)")
        assert (count(table), count(other)) == (0, 0)
        connection.commit()
        assert (count(table), count(other)) == (3, 1000)
        connection.commit()
    assert (count(table), count(other)) == (3, 1000)
    assert (commits(node, table), commits(node, other)) == (1, 1)


@pytest.mark.covers("EndTransaction", client="ADBC Python")
def test_a_rollback_and_a_closed_connection_leave_nothing(node: Node, table: str, count: Callable[[str], int]) -> None:
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, pa.table({"n": [1]}), mode="create")
    with connect(node) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (2)")
        connection.rollback()
        cursor.execute(f"INSERT INTO {table} VALUES (3)")
        cursor.execute(f"SELECT n FROM {table}")
        assert cursor.fetchall() == [(1,)], "what is read is what is committed"
    assert count(table) == 1


@pytest.mark.covers("BeginTransaction", client="ADBC Python")
def test_rows_that_do_not_fit_are_told_before_the_commit(node: Node, table: str, count: Callable[[str], int]) -> None:
    with connect(node) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (n BIGINT NOT NULL)")
        cursor.execute(f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(adbc_driver_manager.Error, match="nulls"):
            cursor.execute(f"INSERT INTO {table} VALUES (NULL)")
        cursor.execute(f"INSERT INTO {table} VALUES (2)")
        connection.commit()
    assert count(table) == 2


@pytest.mark.covers("EndTransaction", client="ADBC Python")
def test_rows_of_a_transaction_that_is_cut_off_are_not_there(fresh_node: Node) -> None:
    # What the connection says to the node at its end finds nobody.
    with (
        contextlib.suppress(adbc_driver_manager.OperationalError),
        connect(fresh_node) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE TABLE kept (n BIGINT)")
        cursor.execute("INSERT INTO kept VALUES (1)")
        connection.commit()
        cursor.execute("INSERT INTO kept VALUES (2)")
        fresh_node.kill()
        fresh_node.start()
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        assert cursor.fetchall() == [(1,)]


def update(transaction: bytes, sql: str) -> bytes:
    return statement_update(sql, transaction)


def begin(raw: RawFlight) -> bytes:
    (answer,) = raw.action("BeginTransaction", command("ActionBeginTransactionRequest", b""))
    return content("ActionBeginTransactionResult", answer)[1]


def end(raw: RawFlight, transaction: bytes, how: int) -> None:
    raw.action("EndTransaction", command("ActionEndTransactionRequest", field(1, transaction) + field(2, how)))


COMMIT, ROLLBACK = 1, 2


def refused(ask: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        ask()
    return error.value.code(), error.value.details()


def refused_update(raw: RawFlight, descriptor: bytes) -> tuple[grpc.StatusCode, str]:
    code, message, _ = raw.put([flight_data(b"", b"", descriptor)])
    return code, message


@pytest.mark.covers("EndTransaction", client="raw gRPC", traps=[26])
@pytest.mark.parametrize(("how", "words"), [(COMMIT, "committed"), (ROLLBACK, "rolled back")])
def test_an_ended_transaction_says_so(raw: RawFlight, node: Node, table: str, count, how: int, words: str) -> None:
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (n BIGINT)")
    transaction = begin(raw)
    raw.update(update(transaction, f"INSERT INTO {ADMIN}.{table} VALUES (1)"))
    end(raw, transaction, how)
    # Ending it again in the same way changes nothing, in the other way is a mistake.
    end(raw, transaction, how)
    code, message = refused(lambda: end(raw, transaction, COMMIT + ROLLBACK - how))
    assert (code, words in message) == (grpc.StatusCode.INVALID_ARGUMENT, True), (code, message)
    code, message = refused_update(raw, update(transaction, f"INSERT INTO {ADMIN}.{table} VALUES (2)"))
    assert (code, words in message) == (grpc.StatusCode.INVALID_ARGUMENT, True), message
    assert count(table) == (1 if how == COMMIT else 0)


@pytest.mark.covers("BeginTransaction", client="raw gRPC")
def test_transactions_have_limits_of_size_and_time(tmp_path: pathlib.Path) -> None:
    limits = {"JETWAY_FLIGHT__MAX_TRANSACTION": "64KiB", "JETWAY_FLIGHT__TRANSACTION_LIFETIME": "2s"}
    node = Node(tmp_path / "data", environment=limits).start()
    with node.connect() as connection, connection.cursor() as cursor, RawFlight(node.uri, ADMIN, PASSWORD) as raw:
        cursor.execute("CREATE TABLE limited (n BIGINT)")
        transaction = begin(raw)
        raw.update(update(transaction, "INSERT INTO limited VALUES (1)"))
        many = "INSERT INTO limited SELECT (value * 7919) % 1000003 FROM generate_series(1, 200000)"
        code, message = refused_update(raw, update(transaction, many))
        assert (code, "more rows than one may hold" in message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True), message
        # What is in it stays, and may be committed.
        end(raw, transaction, COMMIT)
        cursor.execute("SELECT count(*) FROM limited")
        assert cursor.fetchone() == (1,)
        late = begin(raw)
        raw.update(update(late, "INSERT INTO limited VALUES (2)"))
        time.sleep(3)
        code, message = refused(lambda: end(raw, late, COMMIT))
        assert (code, "expired" in message) == (grpc.StatusCode.FAILED_PRECONDITION, True), message
        cursor.execute("SELECT count(*) FROM limited")
        assert cursor.fetchone() == (1,)
    assert node.stop() == 0
