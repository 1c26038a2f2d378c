"""What a data scientist does: ADBC in Python, to and from pandas, polars and Arrow."""

import datetime

import adbc_driver_manager
import data
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from jetway_node import ADMIN, Node

SYSTEM = ["offset", "op", "system_time", "event_time"]


def read(cursor, sql: str, parameters=None) -> pa.Table:
    cursor.execute(sql, parameters)
    return cursor.fetch_arrow_table()


# Connecting


@pytest.mark.covers("Handshake", client="ADBC Python")
def test_connects_with_a_password(node: Node):
    with node.connect() as connection, connection.cursor() as cursor:
        assert read(cursor, "SELECT 1 + 1 AS two").to_pydict() == {"two": [2]}


@pytest.mark.covers("GetFlightInfo", client="ADBC Python", traps=[30])
def test_connects_with_a_token(node: Node):
    token = node.token("adbc")
    with node.connect_with_token(token) as connection, connection.cursor() as cursor:
        assert read(cursor, "SELECT 'in' AS door").to_pydict() == {"door": ["in"]}


def test_a_wrong_password_is_refused_with_what_to_do(node: Node):
    with pytest.raises(adbc_driver_manager.Error) as refused:
        with node.connect(password="not the password") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED
    assert "password" in str(refused.value)
    assert "not the password" not in str(refused.value)


def test_an_invented_token_is_refused(node: Node):
    with pytest.raises(adbc_driver_manager.Error) as refused:
        with node.connect_with_token("jw_invented") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED
    assert "token" in str(refused.value)


# Browsing


@pytest.mark.covers("GetTables", client="ADBC Python", traps=[3])
@pytest.mark.covers("GetDbSchemas", client="ADBC Python")
def test_objects_list_catalog_schema_table_and_columns(connection, cursor, table):
    cursor.adbc_ingest(table, data.small(), mode="create")
    catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    jetway = next(catalog for catalog in catalogs if catalog["catalog_name"] == "jetway")
    schema = next(schema for schema in jetway["catalog_db_schemas"] if schema["db_schema_name"] == ADMIN)
    found = next(t for t in schema["db_schema_tables"] if t["table_name"].replace("-", "_") == table)
    assert found["table_type"] == "TABLE"
    columns = {column["column_name"]: column["ordinal_position"] for column in found["table_columns"]}
    assert columns == {name: position for position, name in enumerate([*SYSTEM, "id", "name"], start=1)}


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables"])
def test_objects_stop_at_the_depth_that_is_asked_for(connection, depth):
    catalogs = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
    jetway = next(catalog for catalog in catalogs if catalog["catalog_name"] == "jetway")
    assert (jetway["catalog_db_schemas"] is None) == (depth == "catalogs")


@pytest.mark.covers("GetTables", client="ADBC Python", traps=[12])
def test_objects_can_be_filtered_by_name(connection, cursor, table):
    cursor.adbc_ingest(table, data.small(), mode="create")
    stored = table.replace("_", "-")
    catalogs = connection.adbc_get_objects(
        depth="tables", catalog_filter="jetway", db_schema_filter="adm%", table_name_filter=f"{stored[:-2]}%"
    ).read_all()
    tables = [
        t["table_name"]
        for catalog in catalogs.to_pylist()
        for schema in catalog["catalog_db_schemas"]
        for t in schema["db_schema_tables"]
    ]
    assert tables == [stored] or tables == [table]


@pytest.mark.covers("GetSqlInfo", client="ADBC Python", traps=[17])
def test_info_names_the_product(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Jetway"
    assert info["vendor_version"]


@pytest.mark.covers("GetTableTypes", client="ADBC Python", traps=[13])
def test_table_types_are_those_of_the_tables(connection):
    assert "TABLE" in connection.adbc_get_table_types()


@pytest.mark.covers("GetTables", client="ADBC Python", traps=[1, 3])
def test_the_schema_of_a_table_is_the_schema_of_its_rows(connection, cursor, table):
    cursor.adbc_ingest(table, data.every_type(10), mode="create")
    announced = connection.adbc_get_table_schema(table.replace("_", "-"), db_schema_filter=ADMIN)
    assert announced.equals(read(cursor, f"SELECT * FROM {ADMIN}.{table}").schema)


# Reading


@pytest.fixture
def shop(cursor, table):
    """Two tables that join."""
    orders = pa.table({"item": ["b", "a", "b", "c"], "amount": [1, 2, 3, 4]})
    items = pa.table({"item": ["a", "b"], "price": pa.array([0.5, 2.0])})
    cursor.adbc_ingest(f"{table}_orders", orders, mode="create")
    cursor.adbc_ingest(f"{table}_items", items, mode="create")
    return (
        f"SELECT o.item, sum(o.amount * i.price) AS total FROM {ADMIN}.{table}_orders o "
        f"JOIN {ADMIN}.{table}_items i ON i.item = o.item GROUP BY o.item ORDER BY o.item"
    )


@pytest.mark.covers("StatementQuery", client="pandas")
def test_a_join_arrives_in_pandas(connection, shop):
    expected = pd.DataFrame({"item": ["a", "b"], "total": [1.0, 8.0]})
    pd.testing.assert_frame_equal(pd.read_sql(shop, connection), expected, check_dtype=False)


@pytest.mark.covers("StatementQuery", client="polars")
def test_a_join_arrives_in_polars(connection, shop):
    assert pl.read_database(shop, connection).rows() == [("a", 1.0), ("b", 8.0)]


@pytest.mark.covers("DoGet", client="ADBC Python")
def test_rows_arrive_in_batches(cursor):
    cursor.execute("SELECT unnest(range(100000)) AS n")
    reader = cursor.fetch_record_batch()
    assert sum(batch.num_rows for batch in reader) == 100_000


def test_a_table_function_is_no_table(cursor):
    assert read(cursor, "SELECT sum(value) AS total FROM generate_series(1, 100)").to_pydict() == {"total": [5050]}


@pytest.mark.covers("StatementQuery", client="ADBC Python", traps=[11])
def test_an_empty_result_keeps_its_schema(cursor, table):
    cursor.adbc_ingest(table, data.every_type(10), mode="create")
    names = ", ".join(f'"{name}"' for name in data.every_type(0).column_names)
    empty = read(cursor, f"SELECT {names} FROM {ADMIN}.{table} WHERE id < 0")
    assert empty.num_rows == 0
    assert empty.schema.types == data.every_type(0).schema.types


@pytest.mark.covers("StatementQuery", client="ADBC Python", traps=[11])
def test_two_columns_may_have_the_same_name(cursor):
    found = read(cursor, "SELECT a.n, b.n FROM (SELECT 1 AS n) a, (SELECT 2 AS n) b")
    assert found.column_names == ["n", "n"]
    assert [column.to_pylist() for column in found.columns] == [[1], [2]]


@pytest.mark.covers("CreatePreparedStatement", client="ADBC Python", traps=[20])
@pytest.mark.covers("PreparedStatementQuery", client="ADBC Python", traps=[20])
def test_a_prepared_statement_sees_what_is_there_when_it_runs(cursor, table):
    cursor.adbc_ingest(table, data.small(3), mode="create")
    sql = f"SELECT count(*) AS n FROM {ADMIN}.{table}"
    parameters = cursor.adbc_prepare(sql)
    assert parameters is None or parameters.names == []
    assert read(cursor, sql).to_pydict() == {"n": [3]}
    cursor.adbc_ingest(table, data.small(2), mode="append")
    assert read(cursor, sql).to_pydict() == {"n": [5]}


@pytest.mark.covers("GetSchema", client="ADBC Python", traps=[1, 20])
def test_executing_a_schema_runs_nothing(cursor, table):
    cursor.adbc_ingest(table, data.small(), mode="create")
    schema = cursor.adbc_execute_schema(f"SELECT name, id FROM {ADMIN}.{table}")
    assert schema.names == ["name", "id"]
    assert schema.types == [pa.string(), pa.int64()]


def test_system_columns_stand_in_front(cursor, table):
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    cursor.adbc_ingest(table, data.small(), mode="create")
    found = read(cursor, f'SELECT * FROM {ADMIN}.{table} ORDER BY "offset"')
    assert found.column_names == [*SYSTEM, "id", "name"]
    assert found.column("offset").to_pylist() == [0, 1, 2]
    assert found.column("op").to_pylist() == [0, 0, 0]
    assert found.schema.field("system_time").type == pa.timestamp("ms", tz="UTC")
    assert all(before <= moment <= datetime.datetime.now(datetime.UTC) for moment in found["system_time"].to_pylist())


# Writing


@pytest.mark.covers("StatementIngest", client="ADBC Python", traps=[8, 9])
@pytest.mark.covers("StatementQuery", client="ADBC Python", traps=[8, 9])
def test_a_million_rows_of_every_type_come_back_as_they_were(cursor, table):
    pushed = data.every_type(1_000_000)
    assert cursor.adbc_ingest(table, data.reader(pushed), mode="create") == pushed.num_rows
    names = ", ".join(f'"{name}"' for name in pushed.column_names)
    found = read(cursor, f'SELECT {names} FROM {ADMIN}.{table} ORDER BY "offset"')
    assert data.differences(pushed, found) == []
    sums = read(cursor, f"SELECT count(*) AS n, sum(id) AS ids, count(DISTINCT id) AS ids_once FROM {ADMIN}.{table}")
    n = pushed.num_rows
    assert sums.to_pylist() == [{"n": n, "ids": n * (n - 1) // 2, "ids_once": n}]


@pytest.mark.covers("StatementIngest", client="ADBC Python", traps=[5, 6, 10])
def test_encodings_are_dropped_and_values_kept(cursor, table):
    """What the format cannot say arrives as the plain type of the same values."""
    texts = ["a", None, "b", "a"]
    moment = datetime.datetime(2024, 2, 29, 12)
    pushed = pa.table(
        {
            "dictionary": pa.array(texts).dictionary_encode(),
            "view": pa.array(texts, pa.string_view()),
            "large": pa.array(texts, pa.large_string()),
            "naive": pa.array([moment] * 4, pa.timestamp("us")),
        }
    )
    cursor.adbc_ingest(table, pushed, mode="create")
    found = read(cursor, f'SELECT dictionary, "view", large, naive FROM {ADMIN}.{table} ORDER BY "offset"')
    for name in ("dictionary", "view", "large"):
        assert found[name].type == pa.string()
        assert found[name].to_pylist() == texts
    # A timestamp without a zone becomes one in UTC, with the same digits.
    assert found["naive"].type == pa.timestamp("us", tz="UTC")
    assert found["naive"].to_pylist() == [moment.replace(tzinfo=datetime.UTC)] * 4


@pytest.mark.covers("StatementIngest", client="pandas")
@pytest.mark.covers("StatementIngest", client="polars")
def test_pandas_and_polars_frames_can_be_pushed(cursor, table):
    cursor.adbc_ingest(table, pa.Table.from_pandas(pd.DataFrame({"x": [1, 2], "y": ["a", None]})), mode="create")
    cursor.adbc_ingest(table, pl.DataFrame({"x": [3], "y": ["c"]}).to_arrow(), mode="append")
    found = read(cursor, f'SELECT x, y FROM {ADMIN}.{table} ORDER BY "offset"')
    assert found.to_pydict() == {"x": [1, 2, 3], "y": ["a", None, "c"]}


def test_create_refuses_a_table_that_is_there(cursor, table, count):
    cursor.adbc_ingest(table, data.small(), mode="create")
    with pytest.raises(adbc_driver_manager.Error) as refused:
        cursor.adbc_ingest(table, data.small(), mode="create")
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.ALREADY_EXISTS
    assert count(table) == 3


def test_append_refuses_a_table_that_is_not_there(cursor, table):
    with pytest.raises(adbc_driver_manager.Error) as refused:
        cursor.adbc_ingest(table, data.small(), mode="append")
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.NOT_FOUND


@pytest.mark.covers("StatementIngest", client="ADBC Python")
def test_create_append_makes_the_table_once(cursor, table, count):
    for expected in (3, 6):
        assert cursor.adbc_ingest(table, data.small(), mode="create_append") == 3
        assert count(table) == expected


def test_a_schema_can_be_named(cursor, table, count):
    cursor.adbc_ingest(table, data.small(), mode="create", db_schema_name=ADMIN)
    assert count(table) == 3


def test_an_underscore_in_a_name_stands_for_a_dash(cursor, connection, table):
    cursor.adbc_ingest(f"{table}_a_b", data.small(), mode="create")
    for name in (f"{table}_a_b", f'"{table.replace("_", "-")}-a-b"', f"{table.upper()}_A_B"):
        assert read(cursor, f"SELECT count(*) AS n FROM {ADMIN}.{name}").to_pydict() == {"n": [3]}


def test_a_column_called_like_a_system_column_is_renamed(cursor, table):
    pushed = pa.table({"offset": pa.array([10, 20]), "op": ["x", "y"]})
    cursor.adbc_ingest(table, pushed, mode="create")
    found = read(cursor, f'SELECT * FROM {ADMIN}.{table} ORDER BY "offset"')
    assert found.column_names == [*SYSTEM, "_offset", "_op"]
    assert found["_offset"].to_pylist() == [10, 20]
    assert found["offset"].to_pylist() == [0, 1]


def test_a_pushed_event_time_is_the_event_time(cursor, table):
    moments = [data.utc(2020, 1, 1), data.utc(2021, 1, 1)]
    pushed = pa.table({"event_time": pa.array(moments, pa.timestamp("ms", tz="UTC")), "x": [1, 2]})
    cursor.adbc_ingest(table, pushed, mode="create")
    found = read(cursor, f'SELECT * FROM {ADMIN}.{table} ORDER BY "offset"')
    assert found.column_names == [*SYSTEM, "x"]
    assert found["event_time"].to_pylist() == moments


@pytest.mark.parametrize(
    "wrong",
    [
        pa.table({"id": ["not a number"], "name": ["a"]}),
        pa.table({"id": pa.array([1.5]), "name": ["a"]}),
        pa.table({"id": [1], "name": ["a"], "more": [True]}),
    ],
    ids=["text", "float", "extra"],
)
def test_rows_that_do_not_fit_are_refused_whole(cursor, table, count, wrong):
    cursor.adbc_ingest(table, data.small(), mode="create")
    with pytest.raises(adbc_driver_manager.Error) as refused:
        cursor.adbc_ingest(table, wrong, mode="append")
    assert refused.value.status_code == adbc_driver_manager.AdbcStatusCode.INVALID_ARGUMENT
    column = "more" if "more" in wrong.column_names else "id"
    assert f'"{column}"' in str(refused.value)
    assert count(table) == 3


def test_a_table_without_rows_can_be_made(cursor, table, count):
    cursor.adbc_ingest(table, data.reader(data.every_type(0)), mode="create")
    assert count(table) == 0
    cursor.adbc_ingest(table, data.every_type(5), mode="append")
    assert count(table) == 5


def test_no_rows_appended_change_nothing(cursor, table, count):
    cursor.adbc_ingest(table, data.small(), mode="create")
    assert cursor.adbc_ingest(table, data.reader(data.small(0)), mode="append") == 0
    assert count(table) == 3


@pytest.mark.covers("StatementIngest", client="ADBC Python")
def test_a_stream_of_batches_is_pushed_as_it_comes(cursor, table, count):
    schema = data.small().schema
    batches = (batch for _ in range(20) for batch in data.small(1000).to_batches())
    cursor.adbc_ingest(table, pa.RecordBatchReader.from_batches(schema, batches), mode="create")
    assert count(table) == 20_000
