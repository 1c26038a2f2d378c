"""Two nodes with one key over one repository: what one of them hands out is good on the other."""

import base64
import contextlib
import os
import time
from collections.abc import Iterator

import flight_sql
import grpc
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_sql import RawFlight, command, content, entries, field, fields, statement_query, statement_update
from grpc import StatusCode
from jetway_node import ADMIN, PASSWORD, Node

RAW = "raw gRPC"
ROWS = 900


def key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node, Node]]:
    """Two replicas, and a stranger: a node over the same repository with another key."""
    shared = tmp_path_factory.mktemp("shared")
    environment = {
        "JETWAY_STORAGE__REPOSITORY": str(shared / "datasets"),
        "JETWAY_STORAGE__STAGING": str(shared / "staging"),
    }
    keys = {"one": "ours", "other": "ours", "stranger": "theirs"}
    secrets = {"ours": key(), "theirs": key()}
    with contextlib.ExitStack() as stack:
        nodes = []
        for name, owner in keys.items():
            data = tmp_path_factory.mktemp(name) / "data"
            node = Node(data, {**environment, "JETWAY_NODE__KEY": secrets[owner]}).start()
            stack.callback(node.stop)
            nodes.append(node)
        with nodes[0].connect() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("numbers", pa.table({"n": pa.array(range(ROWS), pa.int64())}), mode="create")
        for node in nodes:
            with RawFlight(node.uri, ADMIN, PASSWORD) as client:
                wait_until_there(client, "numbers")
        yield tuple(nodes)


def wait_until_there(client: RawFlight, name: str) -> None:
    """A node looks for what others made once a second."""
    for _ in range(100):
        if client.get_flight_info(statement_query(f"SELECT 1 FROM {name}"))[0] == StatusCode.OK:
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} has not been seen")


@pytest.fixture
def clients(replicas: tuple[Node, Node, Node]) -> Iterator[tuple[RawFlight, RawFlight, RawFlight]]:
    with contextlib.ExitStack() as stack:
        yield tuple(stack.enter_context(RawFlight(node.uri, ADMIN, PASSWORD)) for node in replicas)


def info(client: RawFlight, cmd: bytes) -> flight.FlightInfo:
    return flight.FlightInfo.deserialize(client.call("GetFlightInfo", field(1, 2) + field(2, cmd)))


def refused(ask, *arguments) -> StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        ask(*arguments)
    return error.value.code()


def rows(client: RawFlight, info: flight.FlightInfo) -> tuple[StatusCode, list[bytes]]:
    """How reading ended, and the messages that came: the encoded rows are the same wherever they come from."""
    code, _, answers = client.get(info.endpoints[0].ticket.ticket)
    return code, answers


@pytest.mark.covers("Handshake", client="pyarrow.flight", traps=[30])
def test_a_token_of_another_replica(replicas: tuple[Node, Node, Node]):
    one, other, stranger = (flight.FlightClient(node.uri.replace("grpc://", "grpc+tcp://")) for node in replicas)
    with one, other, stranger:
        options = flight.FlightCallOptions(headers=[one.authenticate_basic_token(ADMIN, PASSWORD)], timeout=60)
        descriptor = flight.FlightDescriptor.for_command(statement_query("SELECT count(*) AS n FROM numbers"))
        found = other.get_flight_info(descriptor, options)
        assert other.do_get(found.endpoints[0].ticket, options).read_all()["n"].to_pylist() == [ROWS]
        with pytest.raises(flight.FlightUnauthenticatedError):
            stranger.get_flight_info(descriptor, options)


@pytest.mark.covers("DoGet", client=RAW, traps=[30, 43])
@pytest.mark.covers("RenewFlightEndpoint", client=RAW, traps=[30])
def test_a_ticket_of_another_replica(clients: tuple[RawFlight, RawFlight, RawFlight]):
    one, other, stranger = clients
    found = info(one, statement_query("SELECT n FROM numbers ORDER BY n"))
    # What comes meanwhile is not in it, wherever it is read.
    row = pa.record_batch({"n": pa.array([-1], pa.int64())})
    one.update(flight_sql.statement_ingest("numbers", ADMIN), row)
    code, answers = rows(other, found)
    assert code == StatusCode.OK and (code, answers) == rows(one, found)
    (renewed,) = other.action("RenewFlightEndpoint", field(1, found.endpoints[0].serialize()))
    ticket = flight.FlightEndpoint.deserialize(renewed).ticket.ticket
    assert one.get(ticket)[2] == answers

    assert rows(stranger, found)[0] == StatusCode.INVALID_ARGUMENT
    body = field(1, found.endpoints[0].serialize())
    assert refused(stranger.action, "RenewFlightEndpoint", body) == StatusCode.INVALID_ARGUMENT


@pytest.mark.covers("CreatePreparedStatement", client=RAW, traps=[30])
@pytest.mark.covers("PreparedStatementQuery", client=RAW, traps=[23, 30])
def test_a_prepared_statement_of_another_replica(
    clients: tuple[RawFlight, RawFlight, RawFlight], replicas: tuple[Node, Node, Node]
):
    """Prepared on one, bound on the other, planned on the one and read on the other."""
    one, other, stranger = clients
    sql = field(1, "SELECT n + ? AS m FROM numbers WHERE n = 5")
    (answer,) = one.action("CreatePreparedStatement", command("ActionCreatePreparedStatementRequest", sql))
    handle = content("ActionCreatePreparedStatementResult", answer)[1]
    query = command("CommandPreparedStatementQuery", field(1, handle))
    bound = other.update(query, pa.record_batch({"1": pa.array([37], pa.int64())}))[1]
    found = info(one, command("CommandPreparedStatementQuery", field(1, bound)))
    client, options = replicas[1].flight()
    with client:
        assert client.do_get(found.endpoints[0].ticket, options).read_all()["m"].to_pylist() == [42]
    assert stranger.get_flight_info(query)[0] == StatusCode.INVALID_ARGUMENT


@pytest.mark.covers("SetSessionOptions", client=RAW, traps=[30])
def test_a_session_of_another_replica(clients: tuple[RawFlight, RawFlight, RawFlight]):
    one, other, stranger = clients
    entry = field(1, "time_zone") + field(2, field(1, "Asia/Tokyo"))
    method = one.channel.unary_stream(flight_sql.SERVICE + "DoAction")
    call = method(field(1, "SetSessionOptions") + field(2, field(1, entry)), metadata=one.metadata, timeout=60)
    list(call)
    (cookie,) = [value.split(";")[0] for name, value in call.initial_metadata() if name == "set-cookie"]
    for client in (one, other):
        client.metadata.append(("cookie", cookie))
        (options,) = client.action("GetSessionOptions")
        assert fields(entries(options)["time_zone"])[1] == b"Asia/Tokyo"
    stranger.metadata.append(("cookie", cookie))
    assert refused(stranger.action, "GetSessionOptions") == StatusCode.INVALID_ARGUMENT


@pytest.mark.covers("BeginTransaction", client=RAW, traps=[30])
@pytest.mark.covers("EndTransaction", client=RAW, traps=[30])
def test_a_transaction_over_two_replicas(clients: tuple[RawFlight, RawFlight, RawFlight]):
    """Begun on one, with rows that came to each of both, committed on the other."""
    one, other, stranger = clients
    one.update(statement_update("CREATE TABLE shared (n BIGINT)"))
    (answer,) = one.action("BeginTransaction", command("ActionBeginTransactionRequest", b""))
    transaction = content("ActionBeginTransactionResult", answer)[1]
    assert one.update(statement_update("INSERT INTO shared VALUES (1)", transaction))[1] == 1
    commit = command("ActionEndTransactionRequest", field(1, transaction) + field(2, 1))
    assert refused(stranger.action, "EndTransaction", commit) == StatusCode.INVALID_ARGUMENT
    wait_until_there(other, "shared")
    assert other.update(statement_update("INSERT INTO shared VALUES (2), (3)", transaction))[1] == 2
    other.action("EndTransaction", commit)
    for client in (one, other):
        one_commit = "count(*) = 3 AND count(DISTINCT system_time) = 1"
        found = info(client, statement_query(f"SELECT 1 FROM shared HAVING {one_commit}"))
        code, answers = rows(client, found)
        assert code == StatusCode.OK and len(answers) == 2, "the schema, and a row: there are three, in one commit"
