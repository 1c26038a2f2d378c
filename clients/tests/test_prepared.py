"""Prepared statements and their parameters, through ADBC and through raw calls."""

import datetime
import decimal
from collections.abc import Callable

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow
import pytest

UTC = datetime.timezone.utc


@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python", traps=[20, 22])
@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ("SELECT ?", 5, 5),
        ("SELECT ? + 1", 2**40, 2**40 + 1),
        ("SELECT ?", 1.5, 1.5),
        ("SELECT ?", "text ö 'quoted'", "text ö 'quoted'"),
        ("SELECT ?", b"\x00\xff", b"\x00\xff"),
        ("SELECT ?", True, True),
        ("SELECT ?", None, None),
        ("SELECT CAST(? AS INT)", None, None),
        ("SELECT ?", decimal.Decimal("12345678901234567890.123"), decimal.Decimal("12345678901234567890.123")),
        ("SELECT ?", datetime.date(1969, 12, 31), datetime.date(1969, 12, 31)),
        ("SELECT ?", datetime.time(23, 59, 59, 999_999), datetime.time(23, 59, 59, 999_999)),
        ("SELECT ?", datetime.datetime(2024, 2, 29, 12, 30, 1, 5), datetime.datetime(2024, 2, 29, 12, 30, 1, 5)),
        ("SELECT ?", datetime.datetime(1900, 1, 1, tzinfo=UTC), datetime.datetime(1900, 1, 1, tzinfo=UTC)),
        ("SELECT ?", datetime.timedelta(seconds=90), datetime.timedelta(seconds=90)),
        ("SELECT ?", [1, None, 3], [1, None, 3]),
        ("SELECT ?", {"a": 1, "b": ["x"]}, {"a": 1, "b": ["x"]}),
        ("SELECT ? LIKE 'a%'", "abc", True),
        ("SELECT count(*) FROM generate_series(1, 10) AS t(n) WHERE n > ?", 3.5, 7),
        ("SELECT n FROM generate_series(1, 10) AS t(n) ORDER BY n LIMIT 1 OFFSET ?", 4, 5),
    ],
)
def test_values_of_every_python_type(cursor: dbapi.Cursor, sql: str, value: object, expected: object) -> None:
    cursor.execute(sql, (value,))
    assert cursor.fetchall() == [(expected,)]


@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python", traps=[22])
def test_many_rows_of_parameters_give_all_results(connection: dbapi.Connection) -> None:
    with connection.cursor() as cursor:
        sql = "SELECT $1 AS key, count(*) AS n FROM generate_series(1, 9) AS t(i) WHERE i <= $1 AND $2 IS NULL"
        cursor.adbc_statement.set_sql_query(sql)
        cursor.adbc_statement.prepare()
        rows = pyarrow.record_batch({"a": pyarrow.array([3, 1, 2]), "b": pyarrow.array([None, "x", None])})
        cursor.adbc_statement.bind(rows)
        handle, _ = cursor.adbc_statement.execute_query()
        table = pyarrow.RecordBatchReader.from_stream(handle).read_all()
    assert table.to_pydict() == {"key": [3, 1, 2], "n": [3, 0, 2]}


@pytest.mark.covers("PreparedStatementUpdate", client="ADBC Python", traps=[21, 22])
def test_executemany_adds_all_rows_at_once(
    cursor: dbapi.Cursor, table: str, count: Callable[[str], int]
) -> None:
    first = pyarrow.table(
        {
            "id": pyarrow.array([0]),
            "name": ["first"],
            "price": pyarrow.array([decimal.Decimal("1.50")], pyarrow.decimal128(10, 2)),
            "tags": pyarrow.array([["x"]]),
        }
    )
    cursor.adbc_ingest(table, first, mode="create")
    rows = [(n, None if n % 3 == 0 else f"n{n}", decimal.Decimal(n) / 4, ["a", "b"][: n % 3]) for n in range(1, 5001)]
    insert = f"INSERT INTO {table} (id, name, price, tags) VALUES (?, ?, ?, ?)"
    cursor.executemany(insert, rows)
    assert cursor.rowcount == 5000
    cursor.execute(f"SELECT id, name, price, tags FROM {table} WHERE id > 0 ORDER BY \"offset\"")
    assert cursor.fetchall() == rows
    cursor.execute(f"SELECT count(DISTINCT system_time) FROM {table} WHERE id > 0")
    assert cursor.fetchone() == (1,), "all rows are in one commit"

    cursor.execute(insert, (9000, "one", decimal.Decimal("0.25"), []))
    assert count(table) == 5002
    with pytest.raises(dbapi.Error):
        cursor.executemany(insert, [(1, "a", "many", []), (2, "b", "more", [])])
    assert count(table) == 5002


@pytest.mark.covers("CreatePreparedStatement", client="ADBC Python", traps=[22])
def test_prepare_tells_the_types_of_parameters(cursor: dbapi.Cursor, table: str) -> None:
    rows = pyarrow.table({"id": pyarrow.array([1], pyarrow.int32()), "at": pyarrow.array([datetime.datetime.now(UTC)])})
    cursor.adbc_ingest(table, rows, mode="create")
    schema = cursor.adbc_prepare(f"SELECT * FROM {table} WHERE id = ? AND at < ? LIMIT ?")
    assert schema.types == [pyarrow.int32(), pyarrow.timestamp("us", "UTC"), pyarrow.int64()]
    assert cursor.adbc_prepare(f"SELECT * FROM {table}").types == []


@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python")
def test_mistakes_name_the_parameter(cursor: dbapi.Cursor) -> None:
    for sql, values, word in [
        ("SELECT 1 + CAST(? AS INT)", ("many",), r"\$1"),
        ("SELECT ?, ?", (1,), r"\$2 has no value"),
        ("SELECT ?", (1, 2), r"no parameter \$2"),
        ("SELECT ?, ?, ?", None, "bind"),
        ("SELECT :name", (1,), "names"),
    ]:
        with pytest.raises(dbapi.ProgrammingError, match=word):
            cursor.execute(sql, values)


@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python")
def test_a_statement_runs_again_with_other_values(cursor: dbapi.Cursor, table: str) -> None:
    cursor.adbc_ingest(table, pyarrow.table({"id": list(range(100)), "v": [n * n for n in range(100)]}), mode="create")
    for key in (5, 7, 5, 99):
        cursor.execute(f"SELECT v FROM {table} WHERE id = ?", (key,))
        assert cursor.fetchall() == [(key * key,)]


@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python")
def test_too_many_bytes_of_values_for_a_handle(cursor: dbapi.Cursor) -> None:
    with pytest.raises(dbapi.Error, match="bind fewer rows"):
        cursor.execute("SELECT length(?)", ("x" * 2_000_000,))
    cursor.execute("SELECT length(?)", ("x" * 900_000,))
    assert cursor.fetchone() == (900_000,)
