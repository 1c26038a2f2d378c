"""The life of an answer, as clients see it: endpoints, the spool, polling, renewing and cancelling."""

import time

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from grpc import RpcError, StatusCode

import flight_sql
from flight_sql import SERVICE, RawFlight, field, fields, statement_query
from jetway_node import ADMIN, PASSWORD, Node

ROWS = 50_000


@pytest.fixture
def numbers(node: Node, cursor, table: str) -> str:
    """A table with the numbers from zero on, in several slices."""
    client, options = node.flight()
    with client:
        for start in range(0, ROWS, ROWS // 5):
            batch = pa.record_batch({"n": pa.array(range(start, start + ROWS // 5), pa.int64())})
            flight_sql.ingest(client, options, flight_sql.statement_ingest(table, ADMIN), [batch])
    return f"{ADMIN}.{table}"


def with_headers(token: tuple[bytes, bytes], **headers: str) -> flight.FlightCallOptions:
    """Call options that also carry headers `jetway-...`."""
    more = [(f"jetway-{name.replace('_', '-')}".encode(), value.encode()) for name, value in headers.items()]
    return flight.FlightCallOptions(headers=[token, *more], timeout=60)


@pytest.fixture
def client(node: Node):
    """A bare Flight client and a function that makes call options with headers."""
    with flight.FlightClient(node.uri.replace("grpc://", "grpc+tcp://")) as client:
        token = client.authenticate_basic_token(ADMIN, PASSWORD)
        yield client, lambda **headers: with_headers(token, **headers)


def describe(sql: str) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(statement_query(sql))


@pytest.mark.covers("GetFlightInfo", client="pyarrow.flight")
def test_endpoints_together_have_every_row_once(client, numbers):
    client, options = client
    sql = f"SELECT n FROM {numbers}"
    assert len(client.get_flight_info(describe(sql), options()).endpoints) == 1
    info = client.get_flight_info(describe(sql), options(endpoints="4"))
    assert len(info.endpoints) == 4
    parts = [client.do_get(endpoint.ticket, options()).read_all() for endpoint in info.endpoints]
    assert all(part.schema == info.schema and part.num_rows for part in parts)
    assert sorted(pa.concat_tables(parts)["n"].to_pylist()) == list(range(ROWS))
    assert client.get_flight_info(describe(f"{sql} ORDER BY n"), options(endpoints="4")).ordered


@pytest.mark.covers("GetFlightInfo", client="ADBC Python")
def test_adbc_reads_all_endpoints_and_keeps_the_order(node: Node, numbers):
    header = {"adbc.flight.sql.rpc.call_header.jetway-endpoints": "4"}
    with node.connect(**header) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT n FROM {numbers} WHERE n % 2 = 0")
        assert sorted(cursor.fetch_arrow_table()["n"].to_pylist()) == list(range(0, ROWS, 2))
        cursor.execute(f"SELECT n FROM {numbers} ORDER BY n DESC")
        assert cursor.fetch_arrow_table()["n"].to_pylist() == list(range(ROWS - 1, -1, -1))


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[31])
def test_a_ticket_can_be_read_twice_and_read_on(client):
    client, options = client
    sql = "SELECT value, random() AS r, repeat('x', 1000) AS t FROM generate_series(1, 20000)"
    info = client.get_flight_info(describe(sql), options())
    ticket = info.endpoints[0].ticket
    whole = client.do_get(ticket, options(spool="always")).read_all()
    assert client.do_get(ticket, options()).read_all() == whole
    batches = whole.to_batches()
    assert len(batches) > 5
    rest = client.do_get(ticket, options(resume_from="3")).read_all()
    assert rest == pa.Table.from_batches(batches[3:])
    with pytest.raises(pa.ArrowException, match="read from the beginning"):
        fresh = client.get_flight_info(describe(sql), options()).endpoints[0].ticket
        client.do_get(fresh, options(resume_from="3")).read_all()


@pytest.mark.covers("RenewFlightEndpoint", client="pyarrow.flight")
def test_an_endpoint_is_renewed(client, numbers):
    client, options = client
    info = client.get_flight_info(describe(f"SELECT count(*) AS n FROM {numbers}"), options())
    endpoint = info.endpoints[0]
    body = field(1, endpoint.serialize())
    (answer,) = client.do_action(flight.Action("RenewFlightEndpoint", body), options())
    renewed = flight.FlightEndpoint.deserialize(answer.body.to_pybytes())
    assert renewed.expiration_time.value >= endpoint.expiration_time.value
    assert client.do_get(renewed.ticket, options()).read_all()["n"].to_pylist() == [ROWS]


@pytest.mark.covers("CancelFlightInfo", client="pyarrow.flight", traps=[32])
def test_a_query_is_cancelled(client, raw: RawFlight):
    client, options = client
    sql = "SELECT a.value FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
    info = client.get_flight_info(describe(sql), options())
    # Read by hand: pyarrow makes a KeyboardInterrupt of a stream that was cancelled.
    ticket = info.endpoints[0].ticket.ticket
    messages = raw.channel.unary_stream(SERVICE + "DoGet")(field(1, ticket), metadata=raw.metadata, timeout=60)
    next(messages)
    next(messages)
    (answer,) = client.do_action(flight.Action("CancelFlightInfo", field(1, info.serialize())), options())
    assert fields(answer.body.to_pybytes())[1] == 2, "the query should be CANCELLING"
    with pytest.raises(RpcError) as ended:
        for _message in messages:
            pass
    assert ended.value.code() == StatusCode.CANCELLED
    assert raw.get(ticket)[0] == StatusCode.CANCELLED


@pytest.mark.covers("ListFlights", client="pyarrow.flight")
def test_datasets_are_flights(client, numbers, table):
    client, options = client
    (info,) = client.list_flights(f"%/{table}".encode(), options())
    assert info.descriptor.path[0] == ADMIN.encode()
    found = client.get_flight_info(info.descriptor, options())
    assert found.schema == info.schema == client.get_schema(info.descriptor, options()).schema
    assert client.do_get(found.endpoints[0].ticket, options()).read_all().num_rows == ROWS


def poll(raw: RawFlight, descriptor: bytes) -> dict[int, bytes]:
    """One PollFlightInfo; the fields of PollInfo but `progress`, which has a wire type of its own."""
    call = raw.channel.unary_unary(SERVICE + "PollFlightInfo")
    answer = call(descriptor, metadata=raw.metadata, timeout=60)
    done = answer.find(b"\x19" + b"\x00\x00\x00\x00\x00\x00\xf0\x3f")
    return fields(answer if done < 0 else answer[:done] + answer[done + 9 :])


@pytest.mark.covers("PollFlightInfo", client="raw gRPC")
def test_a_query_is_polled(raw: RawFlight, client):
    client, options = client
    quick = poll(raw, field(1, 2) + field(2, statement_query("SELECT 7 AS n")))
    assert 2 not in quick, "it should be complete"
    info = flight.FlightInfo.deserialize(quick[1])
    assert client.do_get(info.endpoints[0].ticket, options()).read_all()["n"].to_pylist() == [7]

    slow = "SELECT count(*) AS n FROM generate_series(1, 40000) a, generate_series(1, 40000) b WHERE a.value + b.value > 7"
    answer = poll(raw, field(1, 2) + field(2, statement_query(slow)))
    while 2 in answer:
        answer = poll(raw, answer[2])
    info = flight.FlightInfo.deserialize(answer[1])
    (count,) = client.do_get(info.endpoints[0].ticket, options()).read_all()["n"].to_pylist()
    assert count == 40000**2 - 21
    with pytest.raises(RpcError) as refused:
        poll(raw, field(1, 2) + field(2, statement_query("SELECT * FROM nowhere")))
    assert refused.value.code() == StatusCode.NOT_FOUND


@pytest.mark.covers("DoGet", client="raw gRPC", traps=[32])
def test_the_deadline_of_a_call_ends_its_query(node: Node, raw: RawFlight, cursor):
    """`grpc-timeout`: the client is told in time, and the node stops as well."""
    marked = "SELECT count(*) AS deadline_of_a_call FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value < b.value"
    client, options = node.flight()
    with client:
        ticket = client.get_flight_info(describe(marked), options).endpoints[0].ticket
    code, _, _ = raw.get(ticket.ticket, timeout=0.5)
    assert code == StatusCode.DEADLINE_EXCEEDED
    sql = "SELECT state, error_code FROM system.queries WHERE query LIKE '%deadline_of_a_call%' AND query NOT LIKE '%system%'"
    for _ in range(50):
        cursor.execute(sql)
        (state, error) = cursor.fetchone()
        if state not in ("planned", "queued", "running"):
            break
        time.sleep(0.1)
    assert (state, error) in (("failed", "DEADLINE_EXCEEDED"), ("cancelled", "CANCELLED")), (state, error)
