"""The scenarios of Arrow's Flight integration suite, walked with datasets of ours; Flight SQL has a file of its own.

Each test is named for its scenario. What a scenario asserts is asserted; where this node means something else, the
test says so.
"""

import datetime
import time
from collections.abc import Iterator

import flight_sql
import grpc
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from bare_client import Client, describe
from flight_sql import RawFlight, all_fields, entries, field, fields, statement_query, varint
from grpc import StatusCode
from jetway_node import ADMIN, PASSWORD, Node

PYARROW = "pyarrow.flight"
RAW = "raw gRPC"
ROWS = 6000
CMD = field(1, 2)
CANCELLED, CANCELLING, NOT_CANCELLABLE = 1, 2, 3
INVALID_NAME, INVALID_VALUE = 1, 2
CLOSED = 1


def moment(timestamp: "bytes | int | float") -> datetime.datetime:
    """A `google.protobuf.Timestamp`, to the microsecond."""
    parts = fields(timestamp)
    whole = datetime.datetime.fromtimestamp(parts[1], datetime.timezone.utc)
    return whole + datetime.timedelta(microseconds=parts.get(2, 0) // 1000)


def expiration(endpoint: flight.FlightEndpoint) -> datetime.datetime:
    """When an endpoint expires, as it is on the wire."""
    return moment(fields(endpoint.serialize())[3])


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    client = Client(node)
    yield client
    client.client.close()


@pytest.fixture
def numbers(client: Client, table: str) -> str:
    """A table with the numbers from zero on, in three slices."""
    for start in range(0, ROWS, ROWS // 3):
        batch = pa.record_batch({"n": pa.array(range(start, start + ROWS // 3), pa.int64())})
        flight_sql.ingest(client.client, client.options(), flight_sql.statement_ingest(table, ADMIN), [batch])
    return f"{ADMIN}.{table}"


@pytest.mark.covers("Handshake", client=RAW)
@pytest.mark.covers("DoAction", client=RAW)
def test_auth_basic_proto(node: Node):
    """auth:basic_proto: name and password as a `BasicAuth` message, and the token of the answer with each call."""
    with RawFlight(node.uri, ADMIN, PASSWORD) as stranger:
        stranger.metadata = []
        with pytest.raises(grpc.RpcError) as refused:
            stranger.action("GetSessionOptions")
        assert refused.value.code() == StatusCode.UNAUTHENTICATED

        handshake = stranger.channel.stream_stream(flight_sql.SERVICE + "Handshake")
        wrong = field(2, field(2, ADMIN) + field(3, PASSWORD + "!"))
        with pytest.raises(grpc.RpcError) as refused:
            list(handshake(iter([wrong]), timeout=30))
        assert refused.value.code() == StatusCode.UNAUTHENTICATED

        (welcome,) = handshake(iter([field(2, field(2, ADMIN) + field(3, PASSWORD))]), timeout=30)
        stranger.metadata = [("auth-token-bin", fields(welcome)[2])]
        (options,) = stranger.action("GetSessionOptions")
        assert fields(entries(options)["schema"])[1] == ADMIN.encode(), "the node knows who is calling"


@pytest.mark.covers("Headers", client=PYARROW)
def test_middleware(node: Node, numbers: str):
    """middleware: headers go both ways, with answers and with errors. Ours are the session, and its cookie."""
    seen: list[dict[str, list[str]]] = []

    class Watch(flight.ClientMiddleware):
        def sending_headers(self):
            return {"jetway-time-zone": "Asia/Tokyo"}

        def received_headers(self, headers):
            seen.append(headers)

    class Factory(flight.ClientMiddlewareFactory):
        def start_call(self, info):
            return Watch()

    with flight.connect(node.uri, middleware=[Factory()]) as client:
        options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])
        seen.clear()
        with pytest.raises(KeyError):
            client.get_flight_info(describe("SELECT * FROM nowhere"), options)
        assert len(seen) == 1, "headers come with an error as well"
        info = client.get_flight_info(describe("SELECT arrow_typeof(now()) AS t"), options)
        assert client.do_get(info.endpoints[0].ticket, options).read_all()["t"][0].as_py().endswith('"Asia/Tokyo")')
        seen.clear()
        entry = field(1, "schema") + field(2, field(1, ADMIN))
        list(client.do_action(flight.Action("SetSessionOptions", field(1, entry)), options))
        assert any("jetway_session=" in line for headers in seen for line in headers.get("set-cookie", []))


@pytest.mark.covers("GetFlightInfo", client=PYARROW)
def test_ordered(client: Client, numbers: str):
    """ordered: endpoints read one after the other give the order that the flag promises, if it is set."""
    info = client.info(f"SELECT n FROM {numbers} ORDER BY n % 7, n DESC", jetway_endpoints="3")
    assert info.ordered
    rows = pa.concat_tables([client.read(endpoint) for endpoint in info.endpoints])
    assert rows["n"].to_pylist() == sorted(range(ROWS), key=lambda n: (n % 7, -n))

    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="3")
    assert not info.ordered and len(info.endpoints) == 3
    rows = pa.concat_tables([client.read(endpoint) for endpoint in info.endpoints])
    assert sorted(rows["n"].to_pylist()) == list(range(ROWS))


@pytest.mark.covers("DoGet", client=PYARROW, traps=[31])
def test_expiration_time_do_get(client: Client, numbers: str):
    """expiration_time:do_get: each endpoint says until when it can be read, and can be read until then."""
    before = datetime.datetime.now(datetime.timezone.utc)
    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="3")
    # An hour, as `flight.ticket_lifetime` is unless set.
    for endpoint in info.endpoints:
        assert datetime.timedelta(minutes=59) < expiration(endpoint) - before < datetime.timedelta(minutes=61)
    for _ in range(2):
        rows = pa.concat_tables([client.read(endpoint) for endpoint in info.endpoints])
        assert sorted(rows["n"].to_pylist()) == list(range(ROWS))


@pytest.mark.covers("ListActions", client=PYARROW)
def test_expiration_time_list_actions(client: Client):
    """expiration_time:list_actions: both actions are listed, once and with a description."""
    actions = client.client.list_actions(client.options())
    names = [action.type for action in actions]
    assert {"CancelFlightInfo", "RenewFlightEndpoint"} <= set(names)
    assert len(names) == len(set(names))
    assert all(action.description for action in actions)


@pytest.mark.covers("CancelFlightInfo", client=PYARROW)
def test_expiration_time_cancel_flight_info(client: Client, raw: RawFlight, numbers: str):
    """expiration_time:cancel_flight_info: CANCELLED, and then no endpoint can be read."""
    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="3")
    assert fields(client.act("CancelFlightInfo", field(1, info.serialize())))[1] == CANCELLED
    assert len(info.endpoints) == 3
    for endpoint in info.endpoints:
        # By hand: pyarrow raises a KeyboardInterrupt for it.
        assert raw.get(endpoint.ticket.ticket)[0] == StatusCode.CANCELLED
    listing = client.client.get_flight_info(
        flight.FlightDescriptor.for_command(flight_sql.command("CommandGetCatalogs", b"")), client.options()
    )
    assert fields(client.act("CancelFlightInfo", field(1, listing.serialize())))[1] == NOT_CANCELLABLE


@pytest.mark.covers("RenewFlightEndpoint", client=PYARROW)
def test_expiration_time_renew_flight_endpoint(client: Client, numbers: str):
    """expiration_time:renew_flight_endpoint: each endpoint comes back with a later time, and is otherwise the same."""
    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="3")
    time.sleep(0.01)
    total = 0
    for endpoint in info.endpoints:
        renewed = flight.FlightEndpoint.deserialize(client.act("RenewFlightEndpoint", field(1, endpoint.serialize())))
        assert expiration(renewed) > expiration(endpoint)
        assert (renewed.locations, renewed.app_metadata) == (endpoint.locations, endpoint.app_metadata)
        rows = client.read(renewed)
        assert rows == client.read(endpoint)
        total += rows.num_rows
    assert total == ROWS


@pytest.mark.covers("PollFlightInfo", client=RAW)
@pytest.mark.covers("CancelFlightInfo", client=RAW)
def test_poll_flight_info(client: Client, raw: RawFlight):
    """poll_flight_info: a long query has a next descriptor and an expiration time; a complete one has progress 1.

    The suite's server also guesses progress before the end and leaves out the expiration time after it. Ours tells
    progress when it knows it, and always until when what it told can be read.
    """

    def poll(descriptor: bytes) -> tuple[dict[int, "bytes | int | float"], flight.FlightInfo]:
        answer = fields(raw.call("PollFlightInfo", descriptor))
        info = flight.FlightInfo.deserialize(answer[1])
        assert info.schema.names == ["n"]
        assert moment(answer[4]) > datetime.datetime.now(datetime.timezone.utc)
        return answer, info

    series = "generate_series(1, 1000000)"
    endless = f"SELECT count(*) AS n FROM {series} a, {series} b WHERE a.value + b.value > 7"
    descriptor = CMD + field(2, statement_query(endless))
    for _ in range(2):
        answer, info = poll(descriptor)
        assert 3 not in answer and info.endpoints == [] and info.total_records == -1
        descriptor = answer[2]
    # To cancel what has no endpoints yet, the next descriptor stands in the info.
    unfinished = field(1, fields(answer[1])[1]) + field(2, descriptor)
    assert fields(client.act("CancelFlightInfo", field(1, unfinished)))[1] == CANCELLING
    with pytest.raises(grpc.RpcError) as ended:
        for _ in range(60):
            poll(descriptor)
    assert ended.value.code() == StatusCode.CANCELLED

    series = "generate_series(1, 20000)"
    sql = f"SELECT count(*) AS n FROM {series} a, {series} b WHERE a.value + b.value > 7"
    answer, info = poll(CMD + field(2, statement_query(sql)))
    while 2 in answer:
        answer, info = poll(answer[2])
    assert answer[3] == 1.0 and info.total_records == 1
    (endpoint,) = info.endpoints
    assert client.read(endpoint)["n"].to_pylist() == [20000**2 - 21]


@pytest.mark.covers("GetFlightInfo", client=PYARROW)
def test_app_metadata_flight_info_endpoint(client: Client, numbers: str):
    """app_metadata_flight_info_endpoint: metadata of info and endpoints arrive: the name of the query."""
    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="3")
    name = info.app_metadata.decode()
    assert [endpoint.app_metadata.decode() for endpoint in info.endpoints] == [name] * 3
    (listed,) = client.info(f"SELECT query FROM system.queries WHERE id = '{name}'").endpoints
    assert client.read(listed)["query"].to_pylist() == [f"SELECT n FROM {numbers}"]
    assert client.info("SELECT 1").app_metadata.decode() != name


@pytest.mark.covers("DoExchange", client=PYARROW)
def test_do_exchange_echo(client: Client):
    """do_exchange:echo: the method is reserved for engines; who tries it is told so, and what to use."""
    batch = pa.record_batch({"x": [1, 2, 3]})
    with pytest.raises(pa.ArrowNotImplementedError, match="reserved for engines.*DoGet.*DoPut"):
        writer, reader = client.client.do_exchange(flight.FlightDescriptor.for_command(b"echo"), client.options())
        with writer:
            writer.begin(batch.schema)
            writer.write_with_metadata(batch, b"1")
            writer.done_writing()
            reader.read_all()
    assert client.read(client.info("SELECT 1 AS one").endpoints[0])["one"].to_pylist() == [1], "the connection lives on"


@pytest.mark.covers("GetFlightInfo", client=PYARROW)
def test_location_reuse_connection(client: Client, numbers: str):
    """location:reuse_connection: an endpoint is read over the connection that asked for it.

    The suite's server names a location for that; an endpoint without locations means the same.
    """
    info = client.info(f"SELECT n FROM {numbers}", jetway_endpoints="2")
    assert [endpoint.locations for endpoint in info.endpoints] == [[], []]
    assert sum(client.read(endpoint).num_rows for endpoint in info.endpoints) == ROWS


@pytest.mark.covers("SetSessionOptions", client=RAW)
@pytest.mark.covers("GetSessionOptions", client=RAW)
@pytest.mark.covers("CloseSession", client=RAW)
def test_session_options(raw: RawFlight):
    """session_options: options are set, told, changed and unset; wrong names and values come back."""

    def act(name: str, body: bytes = b"") -> bytes:
        call = raw.channel.unary_stream(flight_sql.SERVICE + "DoAction")(
            field(1, name) + field(2, body), metadata=[*raw.metadata, *cookies.items()], timeout=30
        )
        (answer,) = list(call)
        for key, value in call.initial_metadata():
            if key == "set-cookie":
                cookies["cookie"] = value.split(";")[0]
        return fields(answer).get(1, b"")

    def set_options(**options: bytes) -> dict[str, int]:
        pairs = (field(1, name) + (field(2, value) or varint(2 << 3 | 2) + b"\0") for name, value in options.items())
        errors = entries(act("SetSessionOptions", b"".join(field(1, pair) for pair in pairs)))
        return {name: fields(error)[1] for name, error in errors.items()}

    def told() -> dict[str, bytes]:
        return entries(act("GetSessionOptions"))

    cookies: dict[str, str] = {}
    string_list = field(5, field(1, "a") + field(1, "b"))
    usual = told()
    assert cookies == {}
    assert set_options(
        time_zone=field(1, "Asia/Tokyo"),
        endpoints=field(1, "3"),
        lol_invalid=field(1, "this is not set"),
        profile=field(1, "lol_invalid"),
        compression=string_list,
    ) == {"lol_invalid": INVALID_NAME, "profile": INVALID_VALUE, "compression": INVALID_VALUE}
    options = told()
    assert fields(options["time_zone"])[1] == b"Asia/Tokyo"
    # `sfixed64`, which is a number here.
    assert options["endpoints"] == varint(3 << 3 | 1) + (3).to_bytes(8, "little")
    assert {name for name in options if options[name] != usual.get(name)} == {"time_zone", "endpoints"}

    # One is unset by a value without anything in it, another one changed.
    assert set_options(time_zone=b"", endpoints=field(1, "2")) == {}
    options = told()
    assert options["time_zone"] == usual["time_zone"]
    assert options["endpoints"] == varint(3 << 3 | 1) + (2).to_bytes(8, "little")

    assert all_fields(act("CloseSession")) == [(1, CLOSED)]
    cookies.clear()
    assert told() == usual
