"""Substrait plans, made of SQL by DataFusion's Python package, through clients that send them."""

import base64
from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import datafusion
import grpc
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from bare_client import Client
from datafusion.substrait import Serde
from flight_sql import RawFlight, command, content, field
from grpc import StatusCode
from jetway_node import ADMIN, Node

TABLE = "substrait_rides"
RIDES = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "line": ["red", "blue", None, "red"],
        "fare": pa.array([1.5, 2.0, None, 4.5]),
    }
)
QUERY = f"SELECT line, count(*) AS n, sum(fare) AS paid FROM {TABLE} WHERE id > 1 GROUP BY line ORDER BY line"
ANSWER = [
    {"line": "blue", "n": 1, "paid": 2.0},
    {"line": "red", "n": 1, "paid": 4.5},
    {"line": None, "n": 1, "paid": None},
]


# Made by ibis-substrait 4.0.1 for Substrait 0.56:
# rides = ibis.table([("id", "int64"), ("line", "string"), ("fare", "float64")], name="substrait_rides")
# SubstraitCompiler().compile(rides.group_by("line").agg(n=rides.count(), paid=rides.fare.sum())).SerializeToString()
IBIS_PLAN = base64.b64decode(
    "CmoIARJmaHR0cHM6Ly9naXRodWIuY29tL3N1YnN0cmFpdC1pby9zdWJzdHJhaXQvYmxvYi9tYWluL2V4dGVuc2lvbnMvZnVuY3Rpb25zX2Fn"
    "Z3JlZ2F0ZV9kZWNpbWFsX291dHB1dC55YW1sClwIAhJYaHR0cHM6Ly9naXRodWIuY29tL3N1YnN0cmFpdC1pby9zdWJzdHJhaXQvYmxvYi9t"
    "YWluL2V4dGVuc2lvbnMvZnVuY3Rpb25zX2FyaXRobWV0aWMueWFtbBIRGg8IARABGgljb3VudDphbnkSEBoOCAIQAhoIc3VtOmZwNjQakQES"
    "jgEKfSJ7EkEKPwoCCgASJgoCaWQKBGxpbmUKBGZhcmUSFAoEOgIQAQoEYgIQAQoEWgIQARgCOhEKD3N1YnN0cmFpdF9yaWRlcxoMCgoSCAoE"
    "EgIIASIAIgwKCggBIAMqBDoCEAEiGgoYCAIgAyoEWgIQAToMGgoSCAoEEgIIAiIAEgRsaW5lEgFuEgRwYWlkMhIQOCoOaWJpcy1zdWJzdHJh"
    "aXQ="
)


@pytest.fixture(scope="module")
def producer(node: Node) -> datafusion.SessionContext:
    """An engine with an empty table of the schema that the node's has."""
    context = datafusion.SessionContext()
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(TABLE, RIDES, mode="create")
        cursor.execute(f"SELECT * FROM {TABLE} LIMIT 0")
        schema = cursor.fetch_arrow_table().schema
    context.register_record_batches(TABLE, [[pa.RecordBatch.from_pylist([], schema)]])
    return context


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    client = Client(node)
    with client.client:
        yield client


def plan(producer: datafusion.SessionContext, sql: str) -> bytes:
    return Serde.serialize_bytes(sql, producer)


def substrait_query(plan: bytes, version: str = "") -> bytes:
    return command("CommandStatementSubstraitPlan", field(1, field(1, plan) + field(2, version)))


def fetched(statement: adbc_driver_manager.AdbcStatement) -> list[dict]:
    stream, _ = statement.execute_query()
    with pa.RecordBatchReader.from_stream(stream) as reader:
        return reader.read_all().to_pylist()


@pytest.mark.covers("StatementSubstraitPlan", client="ADBC Python")
def test_adbc_runs_a_plan(connection: dbapi.Connection, producer: datafusion.SessionContext):
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_substrait_plan(plan(producer, QUERY))
        assert fetched(statement) == ANSWER
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM system.queries WHERE query LIKE 'Substrait plan of % bytes'")
        assert cursor.fetchall()


@pytest.mark.covers("StatementSubstraitPlan", client="ADBC Python")
def test_plans_of_another_producer_and_an_older_version_run(connection: dbapi.Connection, producer: datafusion.SessionContext):
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_substrait_plan(IBIS_PLAN)
        found = fetched(statement)
    assert sorted(found, key=lambda row: row["n"] * 100 + (row["paid"] or 0)) == [
        {"line": None, "n": 1, "paid": None},
        {"line": "blue", "n": 1, "paid": 2.0},
        {"line": "red", "n": 2, "paid": 6.0},
    ]


@pytest.mark.covers("CreatePreparedSubstraitPlan", client="ADBC Python")
def test_adbc_prepares_a_plan_and_binds_values(connection: dbapi.Connection, producer: datafusion.SessionContext):
    sql = f"SELECT id FROM {TABLE} WHERE line = $1 AND id > $2 ORDER BY id"
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_substrait_plan(plan(producer, sql))
        statement.prepare()
        values = pa.record_batch({"1": ["red"], "2": pa.array([1], pa.int64())})
        statement.bind(values)
        assert fetched(statement) == [{"id": 4}]


@pytest.mark.covers("StatementSubstraitPlan", client="pyarrow.flight", traps=[1])
def test_schema_info_and_stream_of_a_plan_are_equal(client: Client, producer: datafusion.SessionContext):
    descriptor = flight.FlightDescriptor.for_command(substrait_query(plan(producer, QUERY), "0.85.0"))
    info = client.client.get_flight_info(descriptor, client.options())
    table = client.read(info.endpoints[0])
    assert table.to_pylist() == ANSWER
    assert table.schema.equals(info.schema, check_metadata=True)
    assert client.client.get_schema(descriptor, client.options()).schema.equals(info.schema, check_metadata=True)


@pytest.mark.covers("PollFlightInfo", client="raw gRPC")
def test_a_plan_is_polled(raw: RawFlight, producer: datafusion.SessionContext):
    descriptor = field(1, 2) + field(2, substrait_query(plan(producer, QUERY)))
    assert raw.call("PollFlightInfo", descriptor)


@pytest.mark.covers("CreatePreparedSubstraitPlan", client="raw gRPC", traps=[24])
def test_a_prepared_plan_is_no_update(raw: RawFlight, producer: datafusion.SessionContext):
    body = command("ActionCreatePreparedSubstraitPlanRequest", field(1, field(1, plan(producer, QUERY))))
    (answer,) = raw.action("CreatePreparedSubstraitPlan", body)
    prepared = content("ActionCreatePreparedStatementResult", answer)
    assert prepared[1] and prepared[2] and not prepared.get(4)


# What is wrong with a command, its code, and words of the message.
REFUSED = [
    ("no plan", lambda plan: command("CommandStatementSubstraitPlan", b""), StatusCode.INVALID_ARGUMENT, "has no plan"),
    ("garbage", lambda plan: substrait_query(b"SELECT 1"), StatusCode.INVALID_ARGUMENT, "no Substrait plan"),
    ("cut off", lambda plan: substrait_query(plan[:-9]), StatusCode.INVALID_ARGUMENT, "plan"),
    ("version", lambda plan: substrait_query(plan, "7.0.0"), StatusCode.UNIMPLEMENTED, "7.0"),
    ("unknown table", lambda plan: substrait_query(plan.replace(TABLE.encode(), b"substrait_rode5")), StatusCode.NOT_FOUND, "mean"),
    ("too large", lambda plan: substrait_query(bytes(2 << 20)), StatusCode.RESOURCE_EXHAUSTED, "bytes"),
]  # fmt: skip


@pytest.mark.covers("StatementSubstraitPlan", client="raw gRPC", traps=[26])
@pytest.mark.parametrize(("change", "code", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_wrong_is_told(raw: RawFlight, producer: datafusion.SessionContext, change, code: StatusCode, words: str):
    good = plan(producer, QUERY)
    assert len("substrait_rode5") == len(TABLE)
    with pytest.raises(grpc.RpcError) as refused:
        raw.call("GetFlightInfo", field(1, 2) + field(2, change(good)))
    assert (refused.value.code(), words in refused.value.details()) == (code, True), refused.value.details()


@pytest.mark.covers("StatementSubstraitPlan", client="ADBC Python")
def test_tables_are_named_with_their_account(connection: dbapi.Connection, producer: datafusion.SessionContext):
    producer.sql(f"CREATE SCHEMA {ADMIN}").collect()
    producer.sql(f"CREATE TABLE {ADMIN}.{TABLE} AS SELECT * FROM {TABLE}").collect()
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_substrait_plan(plan(producer, f"SELECT count(*) AS n FROM {ADMIN}.{TABLE}"))
        assert fetched(statement) == [{"n": RIDES.num_rows}]
