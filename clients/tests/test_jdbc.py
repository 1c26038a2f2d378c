"""What BI tools in Java do: Arrow's JDBC driver, through every part of JDBC that it has."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import nycflights
import pytest
from jdbc_driver import BIGINT, BOOLEAN, DATE, DECIMAL, DOUBLE, INTEGER, TIMESTAMP, VARCHAR, Jdbc, JdbcConnection, JdbcError, java
from jetway_node import ADMIN, PASSWORD, Node

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def jdbc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jdbc]:
    jdbc = Jdbc(tmp_path_factory.mktemp("jdbc") / "java.log")
    yield jdbc
    jdbc.close()


@pytest.fixture(scope="module")
def java_connection(jdbc: Jdbc, node: Node) -> Iterator[JdbcConnection]:
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD)
    yield connection
    connection.close()


# Connecting


@pytest.mark.covers("Handshake", client="JDBC")
def test_connects_with_a_password(java_connection: JdbcConnection):
    assert java_connection.query("SELECT 1 + 1 AS two").dicts() == [{"two": "2"}]


@pytest.mark.covers("bearer token", client="JDBC")
@pytest.mark.parametrize("place", ["property", "URL"])
def test_connects_with_a_token(jdbc: Jdbc, node: Node, place: str):
    token = node.token(f"jdbc {place}")
    suffix, properties = (f"/?token={token}", {}) if place == "URL" else ("", {"token": token})
    connection = jdbc.connect(node.uri, suffix, **properties)
    assert connection.query("SELECT 'in' AS door").dicts() == [{"door": "in"}]
    connection.close()


@pytest.mark.covers("Handshake", client="JDBC")
def test_a_wrong_password_is_refused_with_what_to_do(jdbc: Jdbc, node: Node):
    with pytest.raises(JdbcError) as refused:
        jdbc.connect(node.uri, user=ADMIN, password="not the password").query("SELECT 1")
    assert "password" in refused.value.message
    assert "not the password" not in refused.value.message


@pytest.mark.covers("bearer token", client="JDBC")
def test_an_invented_token_is_refused(jdbc: Jdbc, node: Node):
    with pytest.raises(JdbcError, match="token"):
        jdbc.connect(node.uri, token="jw_invented").query("SELECT 1")


@pytest.mark.covers("Handshake", client="JDBC", traps=[15])
@pytest.mark.parametrize(
    "properties",
    [
        {"ApplicationName": "DBeaver 26.1.0 - Main", "somethingElse": "1"},
        {"threadPoolSize": "4"},
        {"retainCookies": "false"},
        {"retainAuth": "false"},
    ],
    ids=lambda properties: next(iter(properties)),
)
def test_properties_that_the_node_does_not_know_do_no_harm(jdbc: Jdbc, node: Node, properties: dict[str, str]):
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, **properties)
    assert connection.query("SELECT 1 AS one").dicts() == [{"one": "1"}]
    connection.close()


@pytest.mark.covers("SetSessionOptions", client="JDBC", traps=[15])
def test_the_property_catalog_opens_a_session(jdbc: Jdbc, node: Node):
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, catalog="jetway")
    assert connection.query("SELECT 1 AS one").dicts() == [{"one": "1"}]
    # The driver closes such a connection twice, and its own second time fails: the node is not asked.
    with pytest.raises(JdbcError, match="Channel shutdown invoked"):
        connection.close()
    with pytest.raises(JdbcError, match="nowhere"):
        jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, catalog="nowhere").query("SELECT 1")


@pytest.mark.covers("SetSessionOptions", client="JDBC", traps=[15])
def test_catalog_and_schema_are_set(jdbc: Jdbc, node: Node, keyed: str):
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, schema=ADMIN)
    assert connection.query(f"SELECT id FROM {keyed}").rows == [["1"]]
    assert connection.call("setCatalog", value="jetway") == "jetway"
    assert connection.call("setSchema", value=ADMIN) == ADMIN
    assert connection.query(f"SELECT id FROM {keyed}").rows == [["1"]]
    connection.close()


# Browsing


@pytest.fixture(scope="module")
def keyed(java_connection: JdbcConnection) -> str:
    """A table with a primary key of two columns, and three rows."""
    name = "jdbc_keyed"
    java_connection.call(
        "update",
        sql=f"CREATE TABLE {ADMIN}.{name} (id BIGINT, region TEXT, price DECIMAL(12, 2), PRIMARY KEY (region, id))",
    )
    java_connection.call("update", sql=f"INSERT INTO {ADMIN}.{name} (id, region, price) VALUES (1, 'north', 1.50)")
    return name


def stored(name: str) -> str:
    return name.replace("_", "-")


@pytest.mark.covers("GetCatalogs", client="JDBC")
@pytest.mark.covers("GetDbSchemas", client="JDBC", traps=[12])
def test_catalogs_and_schemas(java_connection: JdbcConnection):
    assert java_connection.metadata("getCatalogs").rows == [["jetway"]]
    everything = java_connection.metadata("getSchemas").rows
    assert [ADMIN, "jetway"] in everything
    assert java_connection.metadata("getSchemas", None, "adm_n").rows == [[ADMIN, "jetway"]]
    assert java_connection.metadata("getSchemas", "jetway", "adm\\_n").rows == []


@pytest.mark.covers("GetTableTypes", client="JDBC", traps=[13])
def test_table_types(java_connection: JdbcConnection):
    types = java_connection.metadata("getTableTypes").column("TABLE_TYPE")
    assert {"TABLE", "VIEW"} <= set(types)


# catalog, schema pattern, table pattern, types, and whether the table is among what is found.
TABLES = [
    (None, None, "%", None, True),
    (None, None, None, None, True),
    ("jetway", "admin", "jdbc-keyed", ["TABLE"], True),
    (None, "adm%", "jdbc_key__", ["VIEW", "TABLE"], True),
    (None, "%", "jdbc%", ["VIEW"], False),
    (None, "admin", "jdbc\\_keyed", None, False),
    ("", "admin", "%", None, False),
    ("other", None, "%", None, False),
]


@pytest.mark.covers("GetTables", client="JDBC", traps=[12, 13])
@pytest.mark.parametrize(("catalog", "schema", "pattern", "types", "there"), TABLES)
def test_tables_by_pattern_and_type(java_connection, keyed, catalog, schema, pattern, types, there):
    found = java_connection.metadata("getTables", catalog, schema, pattern, types).rows
    assert (["jetway", ADMIN, stored(keyed), "TABLE"] in [row[:4] for row in found]) == there


@pytest.mark.covers("GetTables", client="JDBC", traps=[3, 4])
def test_columns_with_types_and_nullability(java_connection: JdbcConnection, keyed: str):
    found = java_connection.metadata("getColumns", None, ADMIN, stored(keyed), "%").dicts()
    wanted = ("COLUMN_NAME", "DATA_TYPE", "COLUMN_SIZE", "DECIMAL_DIGITS", "ORDINAL_POSITION")
    assert [tuple(column[name] for name in wanted) for column in found if column["COLUMN_NAME"] in ("id", "price")] == [
        ("id", str(BIGINT), "19", "0", "5"),
        ("price", str(DECIMAL), "12", "2", "7"),
    ]
    nullable = {column["COLUMN_NAME"]: column["IS_NULLABLE"] for column in found}
    assert (nullable["offset"], nullable["price"]) == ("NO", "YES")
    by_name = java_connection.metadata("getColumns", "jetway", ADMIN, stored(keyed), "pri%")
    assert by_name.column("COLUMN_NAME") == ["price"]


@pytest.mark.covers("GetPrimaryKeys", client="JDBC", traps=[13, 16])
def test_primary_keys(java_connection: JdbcConnection, keyed: str):
    found = java_connection.metadata("getPrimaryKeys", None, ADMIN, stored(keyed)).dicts()
    assert [(key["COLUMN_NAME"], key["KEY_SEQ"]) for key in found] == [("region", "1"), ("id", "2")]


@pytest.mark.covers("GetImportedKeys", client="JDBC")
@pytest.mark.covers("GetExportedKeys", client="JDBC")
@pytest.mark.covers("GetCrossReference", client="JDBC")
def test_there_are_no_foreign_keys(java_connection: JdbcConnection, keyed: str):
    table = (None, ADMIN, stored(keyed))
    assert java_connection.metadata("getImportedKeys", *table).rows == []
    assert java_connection.metadata("getExportedKeys", *table).rows == []
    assert java_connection.metadata("getCrossReference", *table, *table).rows == []


@pytest.mark.covers("GetSqlInfo", client="JDBC", traps=[17])
def test_what_the_node_says_of_itself(java_connection: JdbcConnection):
    expected = {
        "getDatabaseProductName": "Jetway",
        "getIdentifierQuoteString": '"',
        "getSearchStringEscape": "\\",
        "isReadOnly": False,
        "supportsGroupBy": True,
        "supportsOuterJoins": True,
        "supportsUnionAll": True,
        "supportsSubqueriesInExists": True,
        "supportsCorrelatedSubqueries": True,
        "supportsSavepoints": False,
    }
    assert {method: java_connection.metadata(method) for method in expected} == expected
    assert "abs" in java_connection.metadata("getNumericFunctions")
    assert java_connection.metadata("getDatabaseProductVersion")


@pytest.mark.covers("GetTables", client="JDBC", traps=[11, 20])
def test_a_session_as_dbeaver_begins_one(jdbc: Jdbc, node: Node, keyed: str):
    """Properties of the driver, the tree down to the columns, keys for its editor, and the first page of a table."""
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, ApplicationName="DBeaver 26.1.0 - Metadata")
    for method in ("getDatabaseProductName", "getDatabaseProductVersion", "getDriverName", "getSchemaTerm",
                   "getCatalogTerm", "getCatalogSeparator", "isCatalogAtStart", "getSQLKeywords", "getStringFunctions",
                   "getTimeDateFunctions", "supportsBatchUpdates", "supportsTransactions", "storesUpperCaseIdentifiers",
                   "supportsMixedCaseQuotedIdentifiers", "getExtraNameCharacters"):  # fmt: skip
        connection.metadata(method)
    assert connection.metadata("getTypeInfo").names[:2] == ["TYPE_NAME", "DATA_TYPE"]
    (catalog,) = connection.metadata("getCatalogs").column("TABLE_CAT")
    schemas = connection.metadata("getSchemas", catalog, None).column("TABLE_SCHEM")
    assert ADMIN in schemas
    tables = connection.metadata("getTables", catalog, ADMIN, "%", None).column("TABLE_NAME")
    assert stored(keyed) in tables
    assert connection.metadata("getColumns", catalog, ADMIN, stored(keyed), "%").rows
    assert connection.metadata("getPrimaryKeys", catalog, ADMIN, stored(keyed)).rows
    page = connection.query(f'SELECT x.id, x.region, x.price FROM {ADMIN}."{stored(keyed)}" x LIMIT 200')
    assert page.dicts() == [{"id": "1", "region": "north", "price": "1.50"}]
    connection.close()


# Statements


@pytest.mark.covers("StatementUpdate", client="JDBC", traps=[21])
def test_updates_run_once(java_connection: JdbcConnection, table: str):
    update = java_connection.call("update", sql=f"CREATE TABLE {ADMIN}.{table} (id BIGINT, name TEXT)")
    assert update == 0
    assert java_connection.call("update", sql=f"INSERT INTO {ADMIN}.{table} VALUES (1, 'a'), (2, 'b')") == 2
    assert java_connection.call("execute", sql=f"INSERT INTO {ADMIN}.{table} VALUES (3, 'c')") == 1
    assert java_connection.query(f"SELECT count(*) AS n FROM {ADMIN}.{table}").dicts() == [{"n": "3"}]
    java_connection.call("update", sql=f"DROP TABLE {ADMIN}.{table}")
    with pytest.raises(JdbcError, match=table.replace("_", ".")):
        java_connection.query(f"SELECT 1 FROM {ADMIN}.{table}")


@pytest.mark.covers("StatementUpdate", client="JDBC", traps=[21])
def test_rows_are_changed_and_removed(java_connection: JdbcConnection, table: str):
    update = lambda sql: java_connection.call("update", sql=sql)  # noqa: E731
    update(f"CREATE TABLE {ADMIN}.{table} (id BIGINT PRIMARY KEY, name TEXT)")
    update(f"INSERT INTO {ADMIN}.{table} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    assert update(f"UPDATE {ADMIN}.{table} SET name = upper(name) WHERE id > 1") == 2
    assert update(f"DELETE FROM {ADMIN}.{table} WHERE name = 'B'") == 1
    sql = f"UPDATE {ADMIN}.{table} SET name = ? WHERE id = ?"
    assert java_connection.call("preparedUpdate", sql=sql, parameters=[("string", "z"), ("long", 1)]) == 1
    found = java_connection.query(f"SELECT id, name FROM to_table('{ADMIN}.{table}') ORDER BY id")
    assert found.rows == [["1", "z"], ["3", "C"]]


@pytest.mark.covers("StatementQuery", client="JDBC", traps=[11])
def test_results_without_rows_and_with_equal_names(java_connection: JdbcConnection):
    assert java_connection.query("SELECT 1 AS n, 'a' AS t WHERE FALSE").rows == []
    twice = java_connection.query("SELECT a.n, b.n FROM (SELECT 1 AS n) a, (SELECT 2 AS n) b")
    assert (twice.names, twice.rows) == (["n", "n"], [["1", "2"]])


@pytest.mark.covers("DoGet", client="JDBC", traps=[27])
def test_many_rows(java_connection: JdbcConnection):
    sql = "SELECT value, repeat('x', 100) AS text FROM generate_series(1, 200000)"
    assert java_connection.call("count", sql=sql) == 200_000


@pytest.mark.covers("CancelFlightInfo", client="JDBC", traps=[32])
def test_a_statement_is_cancelled_from_another_thread(java_connection: JdbcConnection):
    sql = "SELECT a.value FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
    try:
        ended = java_connection.call("cancel", sql=sql, after=300)
        assert ended["rows"] < 10**11
        assert "ancel" in ended["ended"]
    except JdbcError as error:
        # The driver says so while it still waits for the first rows.
        assert "ancel" in str(error)
    assert java_connection.query("SELECT 1 AS one").rows == [["1"]]


@pytest.mark.covers("StatementQuery", client="JDBC", traps=[26])
@pytest.mark.parametrize(
    ("sql", "said"),
    [("SELECT nothing FROM (SELECT 1 AS something)", "nothing"), ("SELEC 1", "SELEC"), ("SELECT 1 FROM nowhere", "nowhere")],
)
def test_mistakes_are_explained(java_connection: JdbcConnection, sql: str, said: str):
    with pytest.raises(JdbcError) as refused:
        java_connection.query(sql)
    assert said in refused.value.message
    assert "INTERNAL" not in refused.value.message


# Parameters: the type of a column, the setter of JDBC, what is set, and what comes back.
PARAMETERS = [
    ("BOOLEAN", "boolean", True, "true"),
    ("TINYINT", "byte", -7, "-7"),
    ("SMALLINT", "short", -300, "-300"),
    ("INT", "int", 70_000, "70000"),
    ("BIGINT", "long", 2**62, str(2**62)),
    ("FLOAT", "float", 0.5, "0.5"),
    ("DOUBLE", "double", 0.1, "0.1"),
    ("DECIMAL(12, 2)", "decimal", "-1.50", "-1.50"),
    ("TEXT", "string", "Zürich 東京", "Zürich 東京"),
    ("BYTEA", "bytes", "00ff", "00ff"),
    ("DATE", "date", "1969-07-20", "1969-07-20"),
    # The driver sends milliseconds, of whatever unit the statement has them.
    ("TIME", "time", "12:34:56", "12:34:56"),
    ("TIMESTAMP(0)", "timestamp", "2024-02-29 12:00:00", "2024-02-29 12:00:00.0"),
    ("TIMESTAMP(3)", "timestamp", "2024-02-29 12:00:00.123", "2024-02-29 12:00:00.123"),
    ("TIMESTAMP(6)", "timestamp", "1969-07-20 20:17:40.123", "1969-07-20 20:17:40.123"),
    ("TIMESTAMP", "timestamp", "2024-02-29 12:00:00.123", "2024-02-29 12:00:00.123"),
    ("TIMESTAMP WITH TIME ZONE", "timestamp", "2024-02-29 12:00:00.123", "2024-02-29 12:00:00.123"),
]


@pytest.mark.covers("PreparedStatementQuery", client="JDBC", traps=[9, 22])
@pytest.mark.parametrize(("type", "setter", "value", "text"), PARAMETERS, ids=[type for type, _, _, _ in PARAMETERS])
def test_parameters_of_every_type(java_connection: JdbcConnection, type: str, setter: str, value, text: str):
    sql = f"SELECT CAST(? AS {type}) AS v"
    assert java_connection.query(sql, (setter, value)).rows == [[text]]
    assert java_connection.query(sql, ("null", VARCHAR)).rows == [[None]]


@pytest.mark.covers("CreatePreparedStatement", client="JDBC", traps=[20, 22])
def test_a_prepared_statement_tells_its_parameters_and_columns(java_connection: JdbcConnection, keyed: str):
    described = java_connection.call("describe", sql=f"SELECT id, price FROM {ADMIN}.{keyed} WHERE id = ? AND region LIKE ?")
    assert [parameter["type"] for parameter in described["parameters"]] == [BIGINT, VARCHAR]
    assert [(column["name"], column["type"]) for column in described["columns"]] == [("id", BIGINT), ("price", DECIMAL)]


# A condition with parameters, and how many of the ten numbers meet it.
CONDITIONS = [
    ("WHERE value BETWEEN ? AND ?", [("long", 3), ("long", 5)], 3),
    ("WHERE value IN (?, ?, ?)", [("long", 1), ("long", 2), ("long", 99)], 2),
    ("WHERE CAST(value AS TEXT) LIKE ?", [("string", "1%")], 2),
    ("ORDER BY value LIMIT ?", [("long", 4)], 4),
    ("WHERE value = ? OR ? IS NULL", [("null", BIGINT), ("null", BIGINT)], 10),
]


@pytest.mark.covers("PreparedStatementQuery", client="JDBC", traps=[22, 23])
@pytest.mark.parametrize(("condition", "parameters", "rows"), CONDITIONS, ids=[condition for condition, _, _ in CONDITIONS])
def test_parameters_in_every_place(java_connection: JdbcConnection, condition: str, parameters, rows: int):
    found = java_connection.query(f"SELECT value FROM generate_series(1, 10) {condition}", *parameters)
    assert len(found.rows) == rows


@pytest.mark.covers("PreparedStatementUpdate", client="JDBC", traps=[21, 22])
def test_a_batch_of_parameters_is_inserted(java_connection: JdbcConnection, table: str):
    java_connection.call("update", sql=f"CREATE TABLE {ADMIN}.{table} (id BIGINT, name TEXT)")
    sql = f"INSERT INTO {ADMIN}.{table} (id, name) VALUES (?, ?)"
    assert java_connection.call("preparedUpdate", sql=sql, parameters=[("long", 1), ("string", "a")]) == 1
    rows = [[("long", 2), ("string", "b")], [("long", 3), ("null", VARCHAR)]]
    java_connection.call("batch", sql=sql, rows=rows)
    found = java_connection.query(f"SELECT id, name FROM {ADMIN}.{table} ORDER BY id")
    assert found.rows == [["1", "a"], ["2", "b"], ["3", None]]


# Types: as SQL, java.sql.Types, and the value as text.
TYPES = [
    ("arrow_cast(-7, 'Int8')", -6, "-7"),
    ("arrow_cast(-7, 'Int16')", 5, "-7"),
    ("arrow_cast(-7, 'Int32')", INTEGER, "-7"),
    ("arrow_cast(200, 'UInt8')", 5, "200"),
    ("arrow_cast(18446744073709551615, 'UInt64')", DECIMAL, "18446744073709551615"),
    ("arrow_cast(0.5, 'Float16')", 6, "0.5"),
    ("9223372036854775807", BIGINT, "9223372036854775807"),
    ("arrow_cast(0.5, 'Float32')", 6, "0.5"),
    ("0.1", DOUBLE, "0.1"),
    ("TRUE", BOOLEAN, "true"),
    ("'Zürich 東京'", VARCHAR, "Zürich 東京"),
    ("arrow_cast('view', 'Utf8View')", VARCHAR, "view"),
    ("arrow_cast('word', 'Dictionary(Int32, Utf8)')", VARCHAR, "word"),
    ("X'00ff'", -3, "00ff"),
    ("arrow_cast(X'00ff', 'BinaryView')", -3, "00ff"),
    ("arrow_cast(X'00ff', 'FixedSizeBinary(2)')", -2, "00ff"),
    ("DATE '1969-07-20'", DATE, "1969-07-20"),
    ("TIME '12:34:56'", 92, "12:34:56"),
    ("arrow_cast('2024-02-29T12:00:00', 'Timestamp(Second, None)')", TIMESTAMP, "2024-02-29 12:00:00.0"),
    ("arrow_cast('1969-07-20T20:17:40.123456789', 'Timestamp(Nanosecond, None)')", TIMESTAMP, "1969-07-20 20:17:40.123456789"),
    # Zones are left out, the values are in UTC (docs/types.md).
    ("arrow_cast('1969-07-20T20:17:40.123456Z', 'Timestamp(Microsecond, Some(\"UTC\"))')", TIMESTAMP, "1969-07-20 20:17:40.123456"),
    ("arrow_cast('2024-07-29T12:00:00Z', 'Timestamp(Second, Some(\"Europe/Berlin\"))')", TIMESTAMP, "2024-07-29 12:00:00.0"),
    ("arrow_cast('-1.50', 'Decimal128(38, 10)')", DECIMAL, "-1.5000000000"),
    ("arrow_cast('1.50', 'Decimal256(60, 10)')", DECIMAL, "1.5000000000"),
    ("make_array(1, NULL, 3)", 2003, ["1", None, "3"]),
    ("arrow_cast(make_array(1, 2), 'FixedSizeList(2, Int64)')", 2003, ["1", "2"]),
    ("named_struct('a', 1, 'b', 'x')", 2000, '{"a":1,"b":"x"}'),
    ("MAP {'k': 1}", 2000, '{"k":1}'),
    ("arrow_cast(NULL, 'Int32')", INTEGER, None),
    ("NULL", 0, None),
]  # fmt: skip


@pytest.mark.covers("DoGet", client="JDBC", traps=[5, 6, 7, 8, 9, 10])
@pytest.mark.parametrize(("sql", "type", "value"), TYPES, ids=[sql for sql, _, _ in TYPES])
def test_values_of_every_type_arrive(java_connection: JdbcConnection, sql: str, type: int, value):
    found = java_connection.query(f"SELECT {sql} AS v")
    assert (found.columns[0]["type"], found.rows) == (type, [[value]])


# A moment as SQL, and the instant that it is.
MOMENTS = [
    ("arrow_cast('2024-02-29T12:00:00Z', 'Timestamp(Millisecond, Some(\"UTC\"))')", "2024-02-29T12:00:00Z"),
    ("arrow_cast('1969-07-20T20:17:40.5Z', 'Timestamp(Microsecond, Some(\"UTC\"))')", "1969-07-20T20:17:40.500Z"),
    ("arrow_cast('2024-07-29T12:00:00.123456789Z', 'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))')", "2024-07-29T12:00:00.123456789Z"),
    ("arrow_cast('2024-03-31T00:30:00Z', 'Timestamp(Second, Some(\"-03:30\"))')", "2024-03-31T00:30:00Z"),
    ("TIMESTAMP '2024-03-31T02:30:00'", "2024-03-31T02:30:00Z"),
]


@pytest.mark.covers("DoGet", client="JDBC", traps=[8])
@pytest.mark.parametrize(("sql", "instant"), MOMENTS, ids=[instant for _, instant in MOMENTS])
def test_moments_are_what_they_were(java_connection: JdbcConnection, sql: str, instant: str):
    found = java_connection.call("timestamp", sql=f"SELECT {sql} AS v")
    assert found["instant"] == instant
    assert found["object"] == found["text"]
    local = java_connection.call("objectAs", sql=f"SELECT {sql} AS v", **{"class": "java.time.LocalDateTime"})
    assert instant.startswith(local)


@pytest.mark.covers("StatementQuery", client="JDBC", traps=[8])
def test_every_column_of_a_dataset_is_an_object(java_connection: JdbcConnection, keyed: str):
    """What a tool does that shows a table: `SELECT *`, and `getObject` of each column, system_time and event_time among them."""
    found = java_connection.query(f"SELECT * FROM {ADMIN}.{keyed}")
    assert [column["type"] for column in found.columns if column["name"].endswith("_time")] == [TIMESTAMP, TIMESTAMP]
    columns = java_connection.metadata("getColumns", None, ADMIN, stored(keyed), "%_time").dicts()
    assert [column["DATA_TYPE"] for column in columns] == [str(TIMESTAMP)] * 2
    (row,) = found.dicts()
    assert row["event_time"] == row["system_time"] > "2026"


@pytest.mark.covers("SetSessionOptions", client="JDBC", traps=[8, 15])
def test_a_program_may_ask_for_zones(jdbc: Jdbc, node: Node):
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD, **{"jetway-zones": "keep"})
    sql = "SELECT arrow_cast('2024-07-29T12:00:00Z', 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))') AS v"
    assert connection.call("objectAs", sql=sql, **{"class": "java.time.Instant"}) == "2024-07-29T12:00:00Z"
    assert connection.call("objectAs", sql=sql, **{"class": "java.time.OffsetDateTime"}) == "2024-07-29T14:00+02:00"
    connection.close()


# The example


def test_the_example_runs_as_it_is(demo_node):
    address = demo_node.node.uri.removeprefix("grpc://")
    program = java(str(EXAMPLES / "jdbc" / "Flights.java"), address, "LGA")
    ran = subprocess.run(
        program, env={**os.environ, "JETWAY_TOKEN": demo_node.token}, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    assert set(printed) >= {f"admin.{name}" for name in nycflights.TABLES}
    assert [line for line in printed if not line.startswith("admin.")] == [
        "Delta Air Lines Inc.            23,067 flights,   3.9 minutes late",
        "Envoy Air                       16,928 flights,   9.3 minutes late",
        "American Airlines Inc.          15,459 flights,  -1.3 minutes late",
    ]
