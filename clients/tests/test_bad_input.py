"""What goes wrong on the user's side: the exact gRPC code, a message that helps, nothing half written, a node that stays.

The shared `node` fixture asserts at its end that the node is still the process that was started.
"""

import time

import data
import flight_sql
import grpc
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import RawFlight
from grpc import StatusCode
from jetway_node import ADMIN, PASSWORD, Node


def push(*items: "pa.Schema | pa.RecordBatch", descriptor: bytes) -> list[bytes]:
    """The messages of a well-formed DoPut."""
    first, *rest = [flight_sql.messages(item) for item in items]
    return [flight_sql.flight_data(*first, descriptor), *(flight_sql.flight_data(*message) for message in rest)]


@pytest.fixture
def existing(cursor, table, count):
    """A dataset with three rows, which must be the same three after the test."""
    cursor.adbc_ingest(table, data.small(), mode="create")
    yield table
    assert count(table) == 3


# Credentials and tickets


def test_a_wrong_password(node: Node):
    with RawFlight(node.uri, ADMIN, "wrong") as stranger:
        code, message = stranger.get_flight_info(flight_sql.statement_query("SELECT 1"))
    assert code == StatusCode.UNAUTHENTICATED
    assert "password" in message


def test_an_unknown_user_hears_the_same_as_one_with_a_wrong_password(node: Node):
    answers = []
    for user in (ADMIN, "nobody-of-that-name"):
        with RawFlight(node.uri, user, "wrong") as stranger:
            answers.append(stranger.get_flight_info(flight_sql.statement_query("SELECT 1")))
    assert answers[0] == answers[1]


@pytest.mark.covers("DoGet", client="raw gRPC", traps=[31])
@pytest.mark.parametrize("ticket", [b"", b"ticket", bytes(200), b"\x01\x01" + bytes(64)], ids=len)
def test_an_invented_ticket(raw: RawFlight, ticket):
    code, message, answers = raw.get(ticket)
    assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])
    assert message


def test_a_ticket_with_one_bit_changed(node: Node, raw: RawFlight, existing):
    client, options = node.flight()
    with client:
        sql = f"SELECT * FROM {ADMIN}.{existing}"
        descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query(sql))
        ticket = client.get_flight_info(descriptor, options).endpoints[0].ticket.ticket
    assert raw.get(ticket)[0] == StatusCode.OK
    for position in (0, len(ticket) // 2, len(ticket) - 1):
        forged = bytearray(ticket)
        forged[position] ^= 1
        code, _message, answers = raw.get(bytes(forged))
        assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])


@pytest.mark.covers("DoGet", client="raw gRPC", traps=[31])
def test_a_ticket_of_somebody_else(node: Node, raw: RawFlight, existing):
    node.create_account("eve", "eve has a long password")
    client, options = node.flight()
    with client:
        descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query("SELECT 1"))
        ticket = client.get_flight_info(descriptor, options).endpoints[0].ticket.ticket
    with RawFlight(node.uri, "eve", "eve has a long password") as eve:
        code, message, answers = eve.get(ticket)
    assert (code, answers) == (StatusCode.PERMISSION_DENIED, [])
    assert "another account" in message


@pytest.mark.covers("DoGet", client="raw gRPC", traps=[31])
def test_an_expired_ticket(tmp_path):
    node = Node(tmp_path / "data", {"JETWAY_FLIGHT__TICKET_LIFETIME": "1s"}).start()
    try:
        client, options = node.flight()
        with client, RawFlight(node.uri, ADMIN, PASSWORD) as raw:
            descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query("SELECT 1"))
            ticket = client.get_flight_info(descriptor, options).endpoints[0].ticket.ticket
            time.sleep(2)
            code, message, answers = raw.get(ticket)
            assert (code, answers) == (StatusCode.FAILED_PRECONDITION, [])
            assert "expired" in message and "run the query again" in message
            assert raw.get_flight_info(flight_sql.statement_query("SELECT 1"))[0] == StatusCode.OK
    finally:
        node.stop()


def test_writing_into_an_account_of_somebody_else(node: Node, existing):
    node.create_account("mallory", "mallory has a long password")
    with RawFlight(node.uri, "mallory", "mallory has a long password") as mallory:
        schema, *batches = data.small().schema, *data.small().to_batches()
        descriptor = flight_sql.statement_ingest(existing, ADMIN)
        code, _message, _answers = mallory.put(push(schema, *batches, descriptor=descriptor))
    assert code in (StatusCode.PERMISSION_DENIED, StatusCode.NOT_FOUND)


# Statements


@pytest.mark.covers("StatementQuery", client="raw gRPC", traps=[26])
@pytest.mark.parametrize(
    ("sql", "code", "helps"),
    [
        ("SELEC 1", StatusCode.INVALID_ARGUMENT, "SELEC"),
        ("SELECT (1\n  ", StatusCode.INVALID_ARGUMENT, "EOF at Line: 1, Column: 10"),
        ("", StatusCode.INVALID_ARGUMENT, ""),
        ("SELECT nope FROM (SELECT 1 AS one)", StatusCode.INVALID_ARGUMENT, "nope"),
        ("SELECT no_such_function(1)", StatusCode.INVALID_ARGUMENT, "no_such_function"),
        ("SELECT * FROM admin.nowhere", StatusCode.NOT_FOUND, "nowhere"),
        ("SELECT * FROM nobody.nowhere", StatusCode.NOT_FOUND, "nowhere"),
        ("COPY (SELECT 1) TO '/tmp/out.csv'", None, ""),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", None, ""),
        ("SET datafusion.execution.batch_size = 1", None, ""),
    ],
    ids=[
        *("syntax", "end", "empty", "column", "function", "table", "account", "copy", "external", "set"),
    ],
)
def test_a_statement_that_cannot_be_run(raw: RawFlight, sql, code, helps):
    found, message = raw.get_flight_info(flight_sql.statement_query(sql))
    if code is None:
        assert found in (StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED, StatusCode.PERMISSION_DENIED)
    else:
        assert found == code, message
    assert helps.lower() in message.lower()
    assert message


@pytest.mark.covers("StatementQuery", client="raw gRPC", traps=[26])
def test_a_syntax_error_says_where(raw: RawFlight):
    _code, message = raw.get_flight_info(flight_sql.statement_query("SELECT 1\nFROM admin.anything\nORDER 5"))
    assert "line: 3" in message.lower() or "line 3" in message.lower()
    assert "column" in message.lower()


def test_an_unknown_table_suggests_the_nearest(raw: RawFlight, existing):
    misspelt = existing[:-1] + "x"
    _code, message = raw.get_flight_info(flight_sql.statement_query(f"SELECT * FROM {ADMIN}.{misspelt}"))
    assert existing in message.replace("-", "_")


def test_an_error_of_a_row_ends_the_stream_with_its_code(raw: RawFlight, node: Node):
    client, options = node.flight()
    with client:
        sql = "SELECT 1 / (n - 5) FROM (SELECT unnest(range(10)) AS n)"
        descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query(sql))
        ticket = client.get_flight_info(descriptor, options).endpoints[0].ticket.ticket
    code, message, _answers = raw.get(ticket)
    assert code == StatusCode.INVALID_ARGUMENT
    assert "zero" in message.lower()


@pytest.mark.covers("StatementQuery", client="raw gRPC", traps=[26])
def test_a_very_long_statement_is_not_echoed_whole(raw: RawFlight):
    code, message = raw.get_flight_info(flight_sql.statement_query("SELECT " + "nope, " * 5000 + "1"))
    assert code == StatusCode.INVALID_ARGUMENT
    assert len(message) < 8000


@pytest.mark.parametrize(
    "command",
    [b"", b"\xff\xff\xff", flight_sql.command("CommandInvented", b""), flight_sql.command("CommandStatementQuery", b"\xff")],
    ids=["empty", "garbage", "invented", "malformed"],
)
def test_a_command_that_is_none(raw: RawFlight, command):
    code, message = raw.get_flight_info(command)
    assert code in (StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED)
    assert message


# Pushes


def test_types_that_do_not_fit(raw: RawFlight, existing):
    wrong = pa.record_batch({"id": ["text"], "name": ["a"]})
    descriptor = flight_sql.statement_ingest(existing, ADMIN)
    code, message, answers = raw.put(push(wrong.schema, wrong, descriptor=descriptor))
    assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])
    assert '"id"' in message


@pytest.mark.parametrize(
    "kind",
    [pa.duration("s"), pa.map_(pa.string(), pa.int32()), pa.month_day_nano_interval(), pa.null()],
    ids=["duration", "map", "interval", "null"],
)
def test_types_that_the_format_does_not_know(raw: RawFlight, table, cursor, kind):
    batch = pa.record_batch({"strange": pa.array([None], kind)})
    code, message, _answers = raw.put(
        push(batch.schema, batch, descriptor=flight_sql.statement_ingest(table, ADMIN)),
    )
    assert code == StatusCode.INVALID_ARGUMENT
    assert "strange" in message
    cursor.execute(f"SELECT count(*) FROM information_schema.tables WHERE table_name = '{table.replace('_', '-')}'")
    assert cursor.fetchone() == (0,), "the dataset must not be left behind empty"


@pytest.mark.parametrize("cut", ["body", "header", "half of the header"])
def test_a_truncated_batch(raw: RawFlight, existing, cut):
    batch = data.small(1000).to_batches()[0]
    header, body = flight_sql.messages(batch)
    match cut:
        case "body":
            body = body[: len(body) // 2]
        case "header":
            header = b""
        case _:
            header = header[: len(header) // 2]
    schema = flight_sql.flight_data(*flight_sql.messages(batch.schema), flight_sql.statement_ingest(existing, ADMIN))
    code, message, answers = raw.put([schema, flight_sql.flight_data(header, body)])
    assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])
    assert message


def test_a_byte_of_a_batch_header_may_be_wrong(raw: RawFlight, existing):
    batch = data.every_type(8).select(["id", "text", "numbers"]).to_batches()[0]
    descriptor = flight_sql.statement_ingest(f"{existing}_fuzz", ADMIN)
    schema = flight_sql.flight_data(*flight_sql.messages(batch.schema), descriptor)
    header, body = flight_sql.messages(batch)
    for position in range(0, len(header), 3):
        broken = bytearray(header)
        broken[position] ^= 0xFF
        code, _message, _answers = raw.put([schema, flight_sql.flight_data(bytes(broken), body)])
        # Some bytes are padding; where a byte matters, the user hears of it and the node does not fail.
        assert code in (StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.RESOURCE_EXHAUSTED), position


def test_a_batch_before_its_schema(raw: RawFlight, existing):
    header, body = flight_sql.messages(data.small().to_batches()[0])
    descriptor = flight_sql.statement_ingest(existing, ADMIN)
    code, _message, answers = raw.put([flight_sql.flight_data(header, body, descriptor)])
    assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])


def test_a_stream_without_messages(raw: RawFlight):
    code, message, answers = raw.put([])
    assert (code, answers) == (StatusCode.INVALID_ARGUMENT, [])
    assert message


@pytest.mark.covers("DoPut", client="raw gRPC")
def test_a_stream_that_breaks_off(node: Node, existing):
    """The client dies in the middle: what it sent before is not a push."""
    schema, *batches = data.small(1000).schema, *data.small(1000).to_batches()
    sent = push(schema, *batches * 3, descriptor=flight_sql.statement_ingest(existing, ADMIN))

    def breaking():
        yield from sent
        raise OSError("the client's disk is gone")

    with RawFlight(node.uri, ADMIN, PASSWORD) as dying:
        code, _message, answers = dying.put(breaking())
    assert code != StatusCode.OK
    assert answers == []


@pytest.mark.covers("DoPut", client="raw gRPC", traps=[27])
def test_a_message_over_the_limit(raw: RawFlight, existing):
    text = "x" * 1024
    batch = pa.record_batch({"id": pa.array(range(80_000)), "name": pa.array([text] * 80_000)})
    assert batch.nbytes > 64 * 1024 * 1024
    code, message, answers = raw.put(push(batch.schema, batch, descriptor=flight_sql.statement_ingest(existing, ADMIN)))
    assert (code, answers) == (StatusCode.RESOURCE_EXHAUSTED, []) or code == StatusCode.OUT_OF_RANGE
    assert message


def test_an_ingest_without_rules_for_the_table(raw: RawFlight, existing):
    batch = data.small().to_batches()[0]
    descriptor = flight_sql.statement_ingest(existing, ADMIN, if_missing=0, if_there=0)
    code, message, _answers = raw.put(push(batch.schema, batch, descriptor=descriptor))
    assert code == StatusCode.INVALID_ARGUMENT
    assert message


@pytest.mark.parametrize("name", ["", "no spaces", "../up", "a/b/c", "x" * 300, "ünïcode"])
def test_a_name_that_cannot_be_one(raw: RawFlight, name):
    batch = data.small().to_batches()[0]
    code, message, _answers = raw.put(
        push(batch.schema, batch, descriptor=flight_sql.statement_ingest(name, ADMIN)),
    )
    assert code == StatusCode.INVALID_ARGUMENT, message


def test_two_columns_of_one_name(raw: RawFlight, table):
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["same", "same"])
    code, message, _answers = raw.put(
        push(batch.schema, batch, descriptor=flight_sql.statement_ingest(table, ADMIN)),
    )
    assert code == StatusCode.INVALID_ARGUMENT
    assert "same" in message


@pytest.mark.covers("DoExchange", client="raw gRPC")
def test_methods_of_flight_that_are_not_of_flight_sql(raw: RawFlight):
    for name, message in (("DoAction", flight_sql.field(1, "Invented")), ("DoExchange", b"")):
        call = raw.channel.stream_stream(flight_sql.SERVICE + name)
        with pytest.raises(grpc.RpcError) as refused:
            list(call(iter([message]), metadata=raw.metadata, timeout=30))
        assert refused.value.code() in (StatusCode.UNIMPLEMENTED, StatusCode.INVALID_ARGUMENT)
