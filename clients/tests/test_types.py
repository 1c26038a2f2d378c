"""Every Arrow type through every Python client: the right value, or the cast that `docs/types.md` documents."""

import datetime
import pathlib

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import statement_query
from jetway_node import ADMIN, PASSWORD, Node
from type_cases import CASES, query


def test_the_documented_types_are_the_tested_ones():
    documented = (pathlib.Path(__file__).parents[2] / "docs" / "types.md").read_text()
    rows = "\n".join(f"| {case.type} | `{case.sent}` |" for case in CASES)
    assert rows in documented, f"docs/types.md must have the rows\n{rows}"


def plain(data_type: pa.DataType) -> str:
    return str(data_type).replace(" not null", "").replace(" ('entries')", "")


def check(table: pa.Table) -> None:
    assert table.num_rows == 1
    for index, case in enumerate(CASES):
        column = table.column(f"c{index}")
        assert plain(column.type) == case.sent, case
        value = column[0].as_py()
        if isinstance(value, datetime.datetime) and value.tzinfo:
            assert value.utcoffset() is not None
        assert value == case.value, case


@pytest.mark.covers("DoGet", client="ADBC Python", traps=[5, 6, 8, 9, 10])
def test_adbc(cursor):
    cursor.execute(query())
    check(cursor.fetch_arrow_table())


@pytest.mark.covers("DoGet", client="ADBC Python", traps=[8, 9, 10])
def test_adbc_rows(cursor):
    cursor.execute(query())
    assert list(cursor.fetchone()) == [case.value for case in CASES]


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[1, 5, 6, 8, 9, 10])
def test_pyarrow_flight(node: Node):
    with flight.connect(node.uri) as client:
        options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])
        info = client.get_flight_info(flight.FlightDescriptor.for_command(statement_query(query())), options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.schema.equals(info.schema, check_metadata=True)
    check(table)


@pytest.mark.covers("DoGet", client="pandas", traps=[8, 9, 10])
def test_pandas(cursor):
    cursor.execute(query())
    frame = cursor.fetch_df()
    assert len(frame) == 1 and list(frame.columns) == [f"c{index}" for index in range(len(CASES))]
    for index, case in enumerate(CASES):
        value = frame[f"c{index}"].iloc[0]
        if isinstance(case.value, (list, dict)):
            assert len(value) == len(case.value), case
        elif case.value is None:
            assert pd.isna(value), case
        elif isinstance(case.value, datetime.date) and not isinstance(case.value, datetime.datetime):
            assert str(value)[:10] == case.value.isoformat(), case
        else:
            assert value == case.value, case


@pytest.mark.covers("DoGet", client="polars", traps=[8, 9, 10])
def test_polars(connection):
    # polars has no decimals of 256 bits.
    cases = [case for case in CASES if case.type != "Decimal256"]
    frame = pl.read_database(query(cases), connection)
    assert frame.shape == (1, len(cases))
    for index, case in enumerate(cases):
        value = frame[f"c{index}"][0]
        if case.type == "Map":
            entries = value if isinstance(value, dict) else {entry["key"]: entry["value"] for entry in value}
            assert entries == dict(case.value), case
        elif isinstance(value, pl.Series):
            assert len(value) == len(case.value), case
        elif case.type == "Date64":
            assert value in (case.value, datetime.datetime(2026, 1, 31)), case
        else:
            assert value == case.value, case


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[5, 6])
@pytest.mark.parametrize("profile", ["plain", "jdbc", "rich"])
def test_profiles_say_what_they_send(node: Node, profile: str):
    sql = (
        "SELECT arrow_cast('x', 'Dictionary(Int32, Utf8)') AS d, arrow_cast('y', 'Utf8View') AS v, "
        "arrow_cast('18446744073709551615', 'UInt64') AS u"
    )
    with flight.connect(node.uri) as client:
        bearer = client.authenticate_basic_token(ADMIN, PASSWORD)
        options = flight.FlightCallOptions(headers=[bearer, (b"jetway-profile", profile.encode())])
        info = client.get_flight_info(flight.FlightDescriptor.for_command(statement_query(sql)), options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.schema.equals(info.schema, check_metadata=True)
    expected = {
        "plain": [pa.string(), pa.string(), pa.uint64()],
        "jdbc": [pa.string(), pa.string(), pa.decimal128(20, 0)],
        "rich": [pa.dictionary(pa.int32(), pa.string()), pa.string_view(), pa.uint64()],
    }
    assert table.schema.types == expected[profile]
    assert table.to_pylist() == [{"d": "x", "v": "y", "u": 2**64 - 1}]
