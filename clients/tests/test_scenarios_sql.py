"""The scenarios of Arrow's Flight integration suite that are about Flight SQL, walked with datasets of ours.

The suite's server answers with made-up constants; here, what is asked for has to be true as well.
"""

from collections.abc import Callable, Iterator

import flight_sql
import grpc
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from bare_client import Client
from flight_sql import RawFlight, command, content, field, messages, statement_query, statement_update, varint
from grpc import StatusCode
from jetway_node import ADMIN, Node

PYARROW = "pyarrow.flight"
RAW = "raw gRPC"
COMMIT, ROLLBACK = 1, 2
SUBSTRAIT_PLAN = field(1, field(1, "plan") + field(2, "version"))


def text(name: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, pa.string(), nullable)


def there(name: str, kind: pa.DataType | None = None) -> pa.Field:
    """A column without nulls."""
    return pa.field(name, kind or pa.string(), False)


KEYS = pa.schema(
    [
        *(text("pk_catalog_name"), text("pk_db_schema_name"), there("pk_table_name"), there("pk_column_name")),
        *(text("fk_catalog_name"), text("fk_db_schema_name"), there("fk_table_name"), there("fk_column_name")),
        *(there("key_sequence", pa.int32()), text("fk_key_name"), text("pk_key_name")),
        *(there("update_rule", pa.uint8()), there("delete_rule", pa.uint8())),
    ]
)
# The protocol does not say which members may be null, and C++ and Rust differ in the last two.
SQL_INFO_VALUE = pa.dense_union(
    [
        there("string_value"),
        there("bool_value", pa.bool_()),
        there("bigint_value", pa.int64()),
        there("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.string())),
        pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
    ]
)
NAMES = [text("catalog_name"), text("db_schema_name"), there("table_name")]
THE_TABLE = field(1, "jetway") + field(2, ADMIN) + field(3, "{table}")

# What the protocol specifies: command, its fields, and the schema of its answer.
SPECIFIED = {
    "GetCatalogs": (b"", pa.schema([there("catalog_name")])),
    "GetDbSchemas": (
        field(1, "jetway") + field(2, "ad%"),
        pa.schema([text("catalog_name"), there("db_schema_name")]),
    ),
    "GetTables": (
        field(1, "jetway") + field(2, "ad%") + field(4, "TABLE") + field(4, "VIEW") + field(5, 1),
        pa.schema([*NAMES, there("table_type"), there("table_schema", pa.binary())]),
    ),
    "GetTableTypes": (b"", pa.schema([there("table_type")])),
    "GetPrimaryKeys": (
        THE_TABLE,
        pa.schema([*NAMES, there("column_name"), text("key_name"), there("key_sequence", pa.int32())]),
    ),
    "GetExportedKeys": (THE_TABLE, KEYS),
    "GetImportedKeys": (THE_TABLE, KEYS),
    "GetCrossReference": (THE_TABLE + field(5, ADMIN) + field(6, "{table}"), KEYS),
    "GetSqlInfo": (b"", pa.schema([there("info_name", pa.uint32()), pa.field("value", SQL_INFO_VALUE, False)])),
}


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    client = Client(node)
    yield client
    client.client.close()


@pytest.fixture
def keyed(raw: RawFlight, table: str) -> str:
    """A table with a primary key of two columns and two rows."""
    columns = "id BIGINT NOT NULL, part INT NOT NULL, name VARCHAR, PRIMARY KEY (part, id)"
    update(raw, f"CREATE TABLE {ADMIN}.{table} ({columns})")
    assert update(raw, f"INSERT INTO {ADMIN}.{table} (id, part, name) VALUES (1, 7, 'one'), (2, 7, 'two')") == 2
    return table


def update(raw: RawFlight, sql: str, transaction: bytes = b"") -> int:
    return raw.update(statement_update(sql, transaction)).get(1, 0)


def sql_info(client: Client, *codes: int) -> dict[int, object]:
    # A code of zero must be there.
    rows = ask(client, command("CommandGetSqlInfo", b"".join(varint(1 << 3) + varint(code) for code in codes)))
    return dict(zip(rows["info_name"].to_pylist(), rows["value"].to_pylist()))


def ask(client: Client, cmd: bytes) -> pa.Table:
    """What a command gives, whose schema is the same in GetFlightInfo, GetSchema and DoGet, with all metadata."""
    descriptor = flight.FlightDescriptor.for_command(cmd)
    info = client.client.get_flight_info(descriptor, client.options())
    assert info.descriptor == descriptor
    (endpoint,) = info.endpoints
    rows = client.read(endpoint)
    assert rows.schema.equals(info.schema, check_metadata=True)
    assert client.client.get_schema(descriptor, client.options()).schema.equals(info.schema, check_metadata=True)
    return rows


def schema_of(message: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(message))


@pytest.mark.covers("GetFlightInfo", client=PYARROW, traps=[1, 2])
@pytest.mark.covers("GetSchema", client=PYARROW, traps=[1, 2])
@pytest.mark.parametrize("name", SPECIFIED)
def test_flight_sql_metadata(client: Client, keyed: str, name: str):
    """flight_sql: each metadata command has the specified schema."""
    arguments, schema = SPECIFIED[name]
    for number in (3, 6):
        arguments = arguments.replace(field(number, "{table}"), field(number, keyed))
    rows = ask(client, command(f"Command{name}", arguments))
    assert rows.schema.equals(schema), f"{rows.schema}\n\ninstead of\n\n{schema}"
    if name == "GetTables":
        # As datasets are named; SQL takes either.
        named = keyed.replace("_", "-")
        (row,) = [row for row in rows.to_pylist() if row["table_name"] == named]
        stored = schema_of(row["table_schema"])
        origin = {"CATALOG_NAME": b"jetway", "SCHEMA_NAME": ADMIN.encode(), "TABLE_NAME": named.encode()}
        for key, value in origin.items():
            assert stored.field("id").metadata[f"ARROW:FLIGHT:SQL:{key}".encode()] == value
        assert {"id", "part", "name"} <= set(stored.names)
        assert not stored.field("id").nullable and stored.field("name").nullable
    elif name == "GetPrimaryKeys":
        keys = [(row["column_name"], row["key_sequence"]) for row in rows.to_pylist()]
        assert keys == [("part", 1), ("id", 2)]
    elif schema is KEYS:
        assert rows.num_rows == 0, "no key refers to this table, and it refers to none"


@pytest.mark.covers("GetSqlInfo", client=PYARROW, traps=[17])
def test_flight_sql_info_filter(client: Client):
    """flight_sql: GetSqlInfo gives what was asked for."""
    assert sql_info(client, 0, 3) == {0: "Jetway", 3: False}
    assert {0, 1, 2, 3} < set(sql_info(client))


@pytest.mark.covers("StatementQuery", client=PYARROW, traps=[1, 4])
@pytest.mark.covers("StatementUpdate", client=RAW, traps=[21])
def test_flight_sql_statements(client: Client, raw: RawFlight, keyed: str):
    """flight_sql: a query whose schema tells the SQL types of its columns, and an update that counts its rows."""
    rows = ask(client, statement_query(f"SELECT id, name FROM {ADMIN}.{keyed} ORDER BY id"))
    assert rows.to_pylist() == [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
    # Columns of queries tell their types; of which table they are, GetTables tells.
    told = rows.schema.field("id").metadata
    for key, value in {
        "TYPE_NAME": b"BIGINT",
        "PRECISION": b"19",
        "SCALE": b"0",
        "IS_CASE_SENSITIVE": b"0",
        "IS_SEARCHABLE": b"1",
    }.items():
        assert told[f"ARROW:FLIGHT:SQL:{key}".encode()] == value, key

    insert = f"INSERT INTO {ADMIN}.{keyed} (id, part, name) SELECT value, 1, 'more' FROM generate_series(10, 1009)"
    assert update(raw, insert) == 1000
    count = ask(client, statement_query(f"SELECT count(*) AS n FROM {ADMIN}.{keyed}"))
    assert count["n"].to_pylist() == [1002]


def prepare(raw: RawFlight, sql: str, transaction: bytes = b"") -> dict[int, "bytes | int | float"]:
    """A prepared statement: 1 is the handle, 2 the schema of rows, 3 that of parameters, 4 whether it is an update."""
    body = command("ActionCreatePreparedStatementRequest", field(1, sql) + field(2, transaction))
    (answer,) = raw.action("CreatePreparedStatement", body)
    return content("ActionCreatePreparedStatementResult", answer)


def close(raw: RawFlight, handle: bytes) -> None:
    answers = raw.action("ClosePreparedStatement", command("ActionClosePreparedStatementRequest", field(1, handle)))
    assert b"".join(answers) == b""


def prepared_query(handle: bytes) -> bytes:
    return command("CommandPreparedStatementQuery", field(1, handle))


def prepared_update(handle: bytes) -> bytes:
    return command("CommandPreparedStatementUpdate", field(1, handle))


@pytest.mark.covers("CreatePreparedStatement", client=RAW, traps=[1, 20, 22, 24])
@pytest.mark.covers("PreparedStatementQuery", client=RAW, traps=[1, 22, 23])
@pytest.mark.covers("PreparedStatementUpdate", client=RAW, traps=[21])
@pytest.mark.covers("ClosePreparedStatement", client=RAW)
def test_flight_sql_prepared(client: Client, raw: RawFlight, keyed: str):
    """flight_sql: a prepared query with bound parameters, and prepared updates without and with parameters."""
    prepared = prepare(raw, f"SELECT name FROM {ADMIN}.{keyed} WHERE id = ?")
    assert prepared.get(4, 0) == 0 and schema_of(prepared[3]).types == [pa.int64()]
    answer = raw.update(prepared_query(prepared[1]), pa.record_batch({"id": pa.array([2], pa.int64())}))
    assert answer[1] != prepared[1], "the new handle has the value in it"
    # The old one as well, for clients that do not look at the answer.
    for handle in (answer[1], prepared[1]):
        rows = ask(client, prepared_query(handle))
        assert rows["name"].to_pylist() == ["two"]
        assert rows.schema.equals(schema_of(prepared[2]), check_metadata=True)
    close(raw, prepared[1])

    insert = f"INSERT INTO {ADMIN}.{keyed} (id, part, name)"
    prepared = prepare(raw, f"{insert} VALUES (3, 7, 'three'), (4, 7, 'four')")
    count = statement_query(f"SELECT count(*) AS n FROM {ADMIN}.{keyed}")
    assert prepared[4] == 1 and 2 not in prepared
    assert ask(client, count)["n"].to_pylist() == [2], "preparing runs nothing"
    assert raw.update(prepared_update(prepared[1]))[1] == 2
    assert ask(client, count)["n"].to_pylist() == [4]
    close(raw, prepared[1])

    prepared = prepare(raw, f"{insert} VALUES (?, ?, ?)")
    assert schema_of(prepared[3]).types == [pa.int64(), pa.int32(), pa.string()]
    rows = pa.record_batch({"1": [5, 6, 7], "2": pa.array([7] * 3, pa.int32()), "3": ["five", None, "seven"]})
    assert raw.update(prepared_update(prepared[1]), rows)[1] == 3
    assert ask(client, count)["n"].to_pylist() == [7]
    close(raw, prepared[1])


def begin(raw: RawFlight) -> bytes:
    (answer,) = raw.action("BeginTransaction", command("ActionBeginTransactionRequest", b""))
    return content("ActionBeginTransactionResult", answer)[1]


def end(raw: RawFlight, transaction: bytes, how: int) -> None:
    raw.action("EndTransaction", command("ActionEndTransactionRequest", field(1, transaction) + field(2, how)))


@pytest.mark.covers("GetSqlInfo", client=PYARROW, traps=[17])
def test_flight_sql_extension_info(client: Client):
    """flight_sql:extension: what the server says about SQL, Substrait, transactions, cancelling and times."""
    info = sql_info(client)
    sql, substrait, transactions, cancel = (info[code] for code in (4, 5, 8, 9))
    # 1: transactions without savepoints.
    assert (sql, substrait, transactions, cancel) == (True, True, 1, True)
    assert [len(info[code].split(".")) for code in (6, 7)] == [3, 3]
    # How long prepared statements and transactions last, in milliseconds.
    assert (info[100], info[101]) == (86_400_000, 3_600_000)


@pytest.mark.covers("StatementSubstraitPlan", client=RAW)
@pytest.mark.covers("CreatePreparedSubstraitPlan", client=RAW)
def test_flight_sql_extension_substrait(raw: RawFlight):
    """flight_sql:extension: the suite's plan, which is none, is refused wherever it is sent; test_substrait.py has real ones."""
    plan = command("CommandStatementSubstraitPlan", SUBSTRAIT_PLAN)

    def refused(ask: Callable[[], object]) -> str:
        with pytest.raises(grpc.RpcError) as error:
            ask()
        assert error.value.code() == StatusCode.INVALID_ARGUMENT
        return error.value.details()

    for method in ("GetFlightInfo", "GetSchema", "PollFlightInfo"):
        assert "no version" in refused(lambda method=method: raw.call(method, field(1, 2) + field(2, plan))), method
    body = command("ActionCreatePreparedSubstraitPlanRequest", SUBSTRAIT_PLAN)
    assert "no version" in refused(lambda: raw.action("CreatePreparedSubstraitPlan", body))
    code, message, _ = raw.put([flight_sql.flight_data(*messages(pa.schema([])), plan)])
    assert code == StatusCode.UNIMPLEMENTED and "GetFlightInfo" in message


@pytest.mark.covers("CancelQuery", client=RAW)
def test_flight_sql_extension_cancel(client: Client, raw: RawFlight, keyed: str):
    """flight_sql:extension: CancelQuery answers CANCELLED, and the query cannot be read any more."""
    info = client.info(f"SELECT * FROM {ADMIN}.{keyed}")
    (answer,) = raw.action("CancelQuery", command("ActionCancelQueryRequest", field(1, info.serialize())))
    assert content("ActionCancelQueryResult", answer)[1] == 1
    assert raw.get(info.endpoints[0].ticket.ticket)[0] == StatusCode.CANCELLED


@pytest.mark.covers("BeginTransaction", client=RAW)
@pytest.mark.covers("EndTransaction", client=RAW)
@pytest.mark.covers("BeginSavepoint", client=RAW)
def test_flight_sql_extension_transactions(client: Client, raw: RawFlight, keyed: str):
    """flight_sql:extension: queries, updates and prepared statements in transactions that are committed or not."""
    name = f"{ADMIN}.{keyed}"
    everything = f"SELECT id FROM {name} ORDER BY id"

    def ids() -> list[int]:
        return ask(client, statement_query(everything))["id"].to_pylist()

    def insert(*numbers: int) -> str:
        return f"INSERT INTO {name} (id, part, name) VALUES {', '.join(f'({n}, 7, NULL)' for n in numbers)}"

    transaction = begin(raw)
    for action in ("BeginSavepoint", "EndSavepoint"):
        with pytest.raises(grpc.RpcError, match="no savepoints") as refused:
            raw.action(action, command(f"Action{action}Request", field(1, transaction) + field(2, "here")))
        assert refused.value.code() == StatusCode.UNIMPLEMENTED

    assert ask(client, statement_query(everything, transaction))["id"].to_pylist() == [1, 2]
    assert update(raw, insert(3), transaction) == 1
    prepared = prepare(raw, f"SELECT name FROM {name} WHERE id = ?", transaction)
    bound = raw.update(prepared_query(prepared[1]), pa.record_batch({"id": pa.array([2], pa.int64())}))
    assert ask(client, prepared_query(bound[1]))["name"].to_pylist() == ["two"]
    prepared = prepare(raw, insert(4, 5), transaction)
    assert raw.update(prepared_update(prepared[1]))[1] == 2
    assert ids() == [1, 2], "nobody sees what is not committed"
    end(raw, transaction, COMMIT)
    assert ids() == [1, 2, 3, 4, 5]

    second = begin(raw)
    assert second != transaction
    assert update(raw, insert(6), second) == 1
    end(raw, second, ROLLBACK)
    assert ids() == [1, 2, 3, 4, 5]
    with pytest.raises(grpc.RpcError) as over:
        end(raw, second, COMMIT)
    assert over.value.code() != StatusCode.INTERNAL, over.value.details()
    assert ids() == [1, 2, 3, 4, 5], "what was rolled back does not come back"


@pytest.mark.covers("StatementIngest", client=RAW)
def test_flight_sql_ingestion(client: Client, raw: RawFlight, keyed: str):
    """flight_sql:ingestion: rows replace those of a table within a transaction, and are counted."""
    # Bulk ingestion, and in transactions.
    assert sql_info(client, 10, 11) == {10: True, 11: True}
    rows = pa.record_batch({"id": [1, 2, 3], "part": pa.array([7] * 3, pa.int32()), "name": ["one", "2", "three"]})
    transaction = begin(raw)
    descriptor = flight_sql.statement_ingest(
        keyed, ADMIN, if_there=flight_sql.REPLACE, catalog="jetway", transaction=transaction
    )
    assert raw.update(descriptor, rows)[1] == 3
    state = statement_query(f"SELECT id, name FROM to_table('{ADMIN}.{keyed}') ORDER BY id")
    assert ask(client, state)["name"].to_pylist() == ["one", "two"]
    end(raw, transaction, COMMIT)
    assert ask(client, state)["name"].to_pylist() == ["one", "2", "three"]

    temporary = command("CommandStatementIngest", field(2, keyed) + field(5, 1))
    code, message, _ = raw.put([flight_sql.flight_data(*messages(rows.schema), temporary)])
    assert code == StatusCode.UNIMPLEMENTED and "no temporary tables" in message
