"""Metadata commands through ADBC and as raw commands, as tools browse a node."""

import pathlib
import time
from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import command, field, varint
from jetway_node import ADMIN, PASSWORD, Node

ADBC = "ADBC Python"
RAW = "pyarrow.flight"


Field = tuple[int, "bytes | str | int"]


def descriptor(name: str, *fields: Field) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(command(name, b"".join(present(*one) for one in fields)))


def present(number: int, value: "bytes | str | int") -> bytes:
    """A field that is there even if it is empty: an empty name means something else than none."""
    return field(number, value) or varint(number << 3 | (0 if isinstance(value, int) else 2)) + b"\0"


class Commands:
    """Sends metadata commands as they are on the wire."""

    def __init__(self, node: Node) -> None:
        self.client, self.options = node.flight()

    def table(self, name: str, *fields: Field) -> pa.Table:
        """The answer, whose schema is the one that was announced."""
        info = self.client.get_flight_info(descriptor(name, *fields), self.options)
        reader = self.client.do_get(info.endpoints[0].ticket, self.options)
        assert reader.schema.equals(info.schema, check_metadata=True)
        assert self.client.get_schema(descriptor(name, *fields), self.options).schema.equals(info.schema)
        return reader.read_all()


@pytest.fixture
def commands(node: Node) -> Iterator[Commands]:
    commands = Commands(node)
    yield commands
    commands.client.close()


@pytest.fixture
def unique(table: str) -> str:
    """A name that no other test uses, as datasets are named."""
    return table.replace("_", "-")


CITIES = pa.table({"city": ["Bern", "Rome"], "people": pa.array([134_000, 2_760_000], pa.int64())})

MANIFEST = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: NdJson
        ddlSchema: [{ddl}]
      merge:
        kind: {merge}
        primaryKey: [{key}]
"""


@pytest.fixture
def tables(node: Node, connection: dbapi.Connection, unique: str) -> str:
    with connection.cursor() as cursor:
        cursor.adbc_ingest(f"{unique}-cities", CITIES, mode="create")
    return unique


@pytest.mark.covers("GetCatalogs", client=ADBC, traps=[2])
@pytest.mark.covers("GetDbSchemas", client=ADBC, traps=[2])
@pytest.mark.covers("GetTables", client=ADBC, traps=[2, 3, 12])
@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "all"])
def test_objects_of_every_depth(connection: dbapi.Connection, tables: str, depth: str) -> None:
    [catalog] = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
    assert catalog["catalog_name"] == "jetway"
    if depth == "catalogs":
        return
    schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in catalog["catalog_db_schemas"]}
    assert {"admin", "information_schema"} <= set(schemas)
    if depth == "db_schemas":
        return
    [table] = [table for table in schemas["admin"] if table["table_name"] == f"{tables}-cities"]
    assert table["table_type"] == "TABLE"
    if depth == "all":
        names = [column["column_name"] for column in table["table_columns"]]
        assert names == ["offset", "op", "system_time", "event_time", "city", "people"]


@pytest.mark.covers("GetTableTypes", client=ADBC, traps=[13])
def test_types_of_tables_filter_them(connection: dbapi.Connection, tables: str) -> None:
    assert connection.adbc_get_table_types() == ["SYSTEM TABLE", "TABLE", "VIEW"]

    def listed(*types: str) -> set[str]:
        objects = connection.adbc_get_objects(depth="tables", table_types_filter=list(types)).read_all().to_pylist()
        schemas = [schema for catalog in objects for schema in catalog["catalog_db_schemas"] or []]
        return {table["table_name"] for schema in schemas for table in schema["db_schema_tables"] or []}

    assert f"{tables}-cities" in listed("TABLE")
    assert "columns" in listed("SYSTEM TABLE") and f"{tables}-cities" not in listed("SYSTEM TABLE")
    assert listed("NO SUCH TYPE") == set()


@pytest.mark.covers("GetTables", client=RAW, traps=[2, 3, 4, 12])
def test_tables_by_pattern(commands: Commands, tables: str) -> None:
    name = f"{tables}-cities"

    def listed(*fields: Field) -> list[str]:
        return commands.table("CommandGetTables", *fields)["table_name"].to_pylist()

    assert listed((1, ""), (3, name)) == []
    assert listed((1, "jetway"), (3, name)) == [name]
    assert listed((1, "other"), (3, name)) == []
    assert listed((2, "ad%"), (3, f"{tables}%")) == [name]
    assert listed((3, name.replace("-", "_"))) == [name]
    assert listed((3, name.replace("-", "\\_"))) == []
    table = commands.table("CommandGetTables", (3, name), (5, 1))
    assert table.schema.names[-1] == "table_schema" and not table.schema.field("table_schema").nullable
    schema = pa.ipc.read_schema(pa.py_buffer(table["table_schema"][0].as_py()))
    people = schema.field("people").metadata
    assert people[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"BIGINT"
    assert people[b"ARROW:FLIGHT:SQL:PRECISION"] == b"19"
    assert people[b"ARROW:FLIGHT:SQL:TABLE_NAME"] == name.encode()
    assert people[b"ARROW:FLIGHT:SQL:IS_READ_ONLY"] == b"0"
    assert schema.field("offset").metadata[b"ARROW:FLIGHT:SQL:IS_READ_ONLY"] == b"1"
    rows = commands.table("CommandGetTables")
    order = list(zip(rows["db_schema_name"].to_pylist(), rows["table_name"].to_pylist()))
    assert order == sorted(order)


@pytest.mark.covers("GetSqlInfo", client=ADBC, traps=[17])
def test_info_through_adbc(connection: dbapi.Connection) -> None:
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Jetway"
    assert info["vendor_version"] and info["vendor_arrow_version"]


@pytest.mark.covers("GetSqlInfo", client=RAW, traps=[17])
def test_every_code_is_answered(commands: Commands) -> None:
    everything = commands.table("CommandGetSqlInfo")
    codes = everything["info_name"].to_pylist()
    assert codes == sorted(set(codes))
    assert set(codes) >= {*range(0, 9), 100, 101, *range(500, 577)}
    values = dict(zip(codes, everything["value"].to_pylist()))
    assert values[0] == "Jetway" and values[3] is False and values[504] == '"'
    assert "power" in values[509] and "substr" in values[510] and "date_trunc" in values[512]
    assert commands.table("CommandGetSqlInfo", (1, 504), (1, 0), (1, 9_999))["info_name"].to_pylist() == [0, 504]


T = "(VALUES (1, 2), (2, 1), (NULL, 3)) t(a, b)"
# A code, what the node says, and SQL that shows it with its answer; none of SQL that is refused.
CLAIMS = [
    (502, True, "CREATE TABLE {table} (n BIGINT)", []),
    (507, 0, f"SELECT a FROM {T} ORDER BY a DESC LIMIT 1", [(None,)]),
    (516, True, "SELECT NULL + 1", [(None,)]),
    (518, True, f"SELECT t.a FROM {T} WHERE t.a = 1", [(1,)]),
    (520, True, f"SELECT a FROM {T} WHERE a > 0 ORDER BY 0 - a", [(2,), (1,)]),
    (521, True, f"SELECT a FROM {T} ORDER BY b LIMIT 1", [(2,)]),
    (522, 0b11, f"SELECT count(*) FROM {T} GROUP BY b % 2 ORDER BY 1", [(1,), (2,)]),
    (523, True, "SELECT 'a_b' LIKE 'a\\_b' ESCAPE '\\', 'axb' LIKE 'a\\_b' ESCAPE '\\'", [(True, False)]),
    (528, 0b100, "SELECT * FROM (SELECT 1 AS x) l FULL JOIN (SELECT 2 AS y) r ON x = y ORDER BY x NULLS FIRST", [(None, 2), (1, None)]),
    (536, False, "SELECT 1 FOR UPDATE", None),
    (538, 0b1111, f"SELECT a FROM {T} WHERE a > ANY (SELECT 1) AND a IN (SELECT 2) AND EXISTS (SELECT 1) AND a = (SELECT 2)", [(2,)]),
    (539, True, f"SELECT a FROM {T} WHERE EXISTS (SELECT 1 FROM (VALUES (2)) u(c) WHERE u.c = t.a)", [(2,)]),
    (540, 0b11, "SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1", [(1,), (2,)]),
]  # fmt: skip


@pytest.mark.covers("GetSqlInfo", client=RAW, traps=[17])
@pytest.mark.parametrize(("code", "said", "sql", "rows"), CLAIMS, ids=[code for code, *_ in CLAIMS])
def test_what_the_node_says_it_can_is_what_it_does(commands, cursor, table, code: int, said, sql: str, rows) -> None:
    values = commands.table("CommandGetSqlInfo", (1, code))
    assert values["value"].to_pylist() == [said]
    if rows is None:
        with pytest.raises(adbc_driver_manager.Error):
            cursor.execute(sql)
        return
    cursor.execute(sql.replace("{table}", table))
    assert code == 502 or cursor.fetchall() == rows


@pytest.mark.covers("GetSqlInfo", client=RAW, traps=[17])
def test_what_the_node_says_of_transactions(commands: Commands, node: Node, table: str, count) -> None:
    codes = (8, 11, 563, 565, 566, 572, 573)
    values = commands.table("CommandGetSqlInfo", *((1, code) for code in codes))
    assert dict(zip(values["info_name"].to_pylist(), values["value"].to_pylist())) == {
        8: 1, 11: True, 563: True, 565: False, 566: False, 572: True, 573: False,
    }  # fmt: skip
    # Definitions in a transaction are neither left out nor do they commit it.
    with dbapi.connect(node.uri, db_kwargs={"username": ADMIN, "password": PASSWORD}) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} (n BIGINT)")
            cursor.execute(f"INSERT INTO {table} VALUES (1)")
            cursor.execute(f"CREATE TABLE {table}_other (n BIGINT)")
            assert (count(table), count(f"{table}_other")) == (0, 0)
            connection.rollback()
    assert count(table) == 0


@pytest.mark.covers("GetXdbcTypeInfo", client=RAW, traps=[14])
def test_types_are_listed(commands: Commands) -> None:
    types = commands.table("CommandGetXdbcTypeInfo")
    assert len(types.schema) == 19
    rows = list(zip(types["data_type"].to_pylist(), types["type_name"].to_pylist()))
    assert rows == sorted(rows)
    assert commands.table("CommandGetXdbcTypeInfo", (1, 2**64 - 5))["type_name"].to_pylist() == ["BIGINT", "BIGINT UNSIGNED"]


def add(node: Node, tmp_path: pathlib.Path, name: str, text: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    node.command("add", str(path))


@pytest.mark.covers("GetPrimaryKeys", client=RAW, traps=[2, 13, 16])
@pytest.mark.covers("GetImportedKeys", client=RAW, traps=[2])
@pytest.mark.covers("GetExportedKeys", client=RAW, traps=[2])
@pytest.mark.covers("GetCrossReference", client=RAW, traps=[2])
def test_keys(
    commands: Commands, node: Node, connection: dbapi.Connection, unique: str, tmp_path: pathlib.Path
) -> None:
    cities, sights = f"{unique}-cities", f"{unique}-sights"
    add(node, tmp_path, cities, MANIFEST.format(
        name=cities, ddl="country STRING, city STRING", merge="Ledger", key="country, city"))
    add(node, tmp_path, sights, MANIFEST.format(
        name=sights, ddl="id BIGINT, land STRING, town STRING", merge="UpsertStream", key="id") + f"""
    - kind: SetDataSchema
      schema:
        fields:
          - {{name: offset, type: Int64}}
          - {{name: op, type: Int32}}
          - {{name: system_time, type: {{kind: Timestamp}}}}
          - {{name: event_time, type: {{kind: Option, inner: {{kind: Timestamp}}}}}}
          - {{name: id, type: {{kind: Option, inner: Int64}}}}
          - {{name: land, type: {{kind: Option, inner: String}}}}
          - {{name: town, type: {{kind: Option, inner: String}}}}
        extra:
          jetway.dev/foreignKeys:
            - name: where
              columns: [land, town]
              references: {{dataset: {cities}}}
""")
    for _ in range(50):
        # The node looks for what other processes made once a second.
        if sights in commands.table("CommandGetTables")["table_name"].to_pylist():
            break
        time.sleep(0.1)
    with connection.cursor() as cursor:
        rows = pa.table({"country": ["CH"], "city": ["Bern"]})
        cursor.adbc_ingest(cities, rows, mode="append")
    keys = commands.table("CommandGetPrimaryKeys", (2, "admin"), (3, cities)).to_pylist()
    name = f"{cities}_pkey"
    assert [(key["column_name"], key["key_name"], key["key_sequence"]) for key in keys] == [
        ("country", name, 1),
        ("city", name, 2),
    ]
    assert commands.table("CommandGetPrimaryKeys", (2, "nobody"), (3, cities)).num_rows == 0
    assert commands.table("CommandGetPrimaryKeys", (1, ""), (3, cities)).num_rows == 0

    expected = [("country", "land", 1), ("city", "town", 2)]
    for question in [
        ("CommandGetImportedKeys", (2, "admin"), (3, sights)),
        ("CommandGetExportedKeys", (2, "admin"), (3, cities)),
        ("CommandGetCrossReference", (2, "admin"), (3, cities), (5, "admin"), (6, sights)),
    ]:
        keys = commands.table(*question).to_pylist()
        found = [(key["pk_column_name"], key["fk_column_name"], key["key_sequence"]) for key in keys]
        assert found == expected, question
        assert {(key["fk_key_name"], key["pk_key_name"], key["update_rule"]) for key in keys} == {("where", name, 3)}
    for question in [
        ("CommandGetImportedKeys", (3, cities)),
        ("CommandGetExportedKeys", (3, sights)),
        ("CommandGetCrossReference", (3, sights), (6, cities)),
    ]:
        assert commands.table(*question).num_rows == 0, question


@pytest.mark.covers("GetTables", client="pyarrow.flight", traps=[12])
def test_underscores_and_hyphens_are_one_name(commands: Commands, cursor: dbapi.Cursor, unique: str) -> None:
    name = f"{unique}_a_b".replace("-", "_")
    stored = name.replace("_", "-")
    cursor.execute(f"CREATE TABLE {name} (n BIGINT)")
    with pytest.raises(adbc_driver_manager.Error, match="already there"):
        cursor.execute(f'CREATE TABLE "{stored}" (n BIGINT)')

    def listed(pattern: str) -> list[str]:
        return commands.table("CommandGetTables", (3, pattern))["table_name"].to_pylist()

    assert listed(name) == listed(stored) == [stored]
    assert listed(name.replace("_", "\\_")) == []
