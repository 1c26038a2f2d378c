"""Who does not log in: refused unless the operator says otherwise, and then one who reads what is public."""

from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import data
import flight_sql
import grpc
import pytest
from flight_sql import SERVICE, RawFlight, command, field, statement_query
from grpc import StatusCode
from jetway_node import ADMIN, PASSWORD, Node


class Stranger(RawFlight):
    """A client that sends no credentials."""

    def __init__(self, uri: str):
        super().__init__(uri, "", "")
        self.metadata = []

    def action(self, name: str, body: bytes = b"") -> StatusCode:
        method = self.channel.unary_stream(SERVICE + "DoAction")
        request = field(1, name) + field(2, body)
        return self._stream(method, request, 60)[0]


@pytest.fixture(scope="module")
def open_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node where everybody may read the datasets of one account."""
    node = Node(tmp_path_factory.mktemp("anonymous") / "data", {"JETWAY_ACCOUNTS__PUBLIC": "library, press"}).start()
    for account in ("library", "bank"):
        node.create_account(account, f"{account} has a long password")
        with node.connect(account, f"{account} has a long password") as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("books", data.small(3), mode="create")
    yield node
    assert node.stop() == 0


@pytest.fixture
def stranger(open_node: Node) -> Iterator[Stranger]:
    with Stranger(open_node.uri) as stranger:
        yield stranger



def test_nobody_is_let_in_unless_the_operator_says_so(node: Node):
    with Stranger(node.uri) as stranger:
        assert stranger.get_flight_info(statement_query("SELECT 1"))[0] == StatusCode.UNAUTHENTICATED
        stranger.metadata = [("authorization", "Bearer anonymous")]
        assert stranger.get_flight_info(statement_query("SELECT 1"))[0] == StatusCode.UNAUTHENTICATED


@pytest.mark.covers("Handshake", client="ADBC Python")
@pytest.mark.parametrize("credentials", [{}, {"username": "", "password": ""}], ids=["none", "empty"])
def test_public_datasets_can_be_read(open_node: Node, credentials: dict[str, str]):
    connection = dbapi.connect(open_node.uri, db_kwargs=credentials, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM library.books")
        assert cursor.fetchone() == (3,)
        cursor.execute("SELECT account, name FROM system.datasets")
        assert cursor.fetchall() == [("library", "books")]
        cursor.execute("SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name = 'books'")
        assert cursor.fetchall() == [("library",)]
        for others in ("queries", "sessions", "spool"):
            cursor.execute(f"SELECT count(*) FROM system.{others}")
            assert cursor.fetchone() == (0,), others
        with pytest.raises(adbc_driver_manager.Error, match="no such dataset"):
            cursor.execute("SELECT count(*) FROM bank.books")
        with pytest.raises(adbc_driver_manager.Error):
            cursor.adbc_ingest("books", data.small(1), mode="append")


DENIED = StatusCode.PERMISSION_DENIED


@pytest.mark.covers("StatementUpdate", client="raw gRPC")
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO library.books SELECT * FROM library.books",
        "CREATE TABLE mine AS SELECT 1 AS a",
        "CREATE TABLE library.mine AS SELECT 1 AS a",
        "CREATE TABLE anonymous.mine AS SELECT 1 AS a",
        "DROP TABLE library.books",
    ],
)
def test_nothing_can_be_changed_by_a_statement(stranger: Stranger, sql: str):
    update = command("CommandStatementUpdate", field(1, sql))
    message = field(1, field(1, 2) + field(2, update))
    assert stranger.put([message])[0] == DENIED
    assert stranger.get_flight_info(statement_query(sql))[0] != StatusCode.OK


@pytest.mark.parametrize("schema", ["", "library", "bank", "anonymous", ADMIN])
def test_nothing_can_be_pushed(stranger: Stranger, schema: str):
    batch = data.small(1).to_batches()[0]
    descriptor = flight_sql.statement_ingest("pushed", schema)
    messages = [
        flight_sql.flight_data(*flight_sql.messages(batch.schema), descriptor),
        flight_sql.flight_data(*flight_sql.messages(batch)),
    ]
    assert stranger.put(messages)[0] == DENIED


def test_actions_about_others_are_refused(stranger: Stranger):
    for name, body in [
        ("BeginTransaction", command("ActionBeginTransactionRequest", b"")),
        ("EndTransaction", command("ActionEndTransactionRequest", field(1, b"x") + field(2, 1))),
        ("jetway.KillQuery", b"00000000-0000-0000-0000-000000000000"),
        ("CancelFlightInfo", b""),
    ]:
        assert stranger.action(name, body) == DENIED, name
    assert stranger.action("GetSessionOptions") == StatusCode.OK


def test_wrong_credentials_are_not_none(open_node: Node):
    with RawFlight(open_node.uri, ADMIN, "wrong") as client:
        assert client.get_flight_info(statement_query("SELECT 1"))[0] == StatusCode.UNAUTHENTICATED
    with RawFlight(open_node.uri, "anonymous", PASSWORD) as client:
        assert client.get_flight_info(statement_query("SELECT 1"))[0] == StatusCode.UNAUTHENTICATED


def test_nobody_gets_the_name_of_nobody(open_node: Node):
    with pytest.raises(AssertionError, match="choose another"):
        open_node.create_account("anonymous", "a long password of somebody")


def test_a_ticket_of_somebody_with_an_account_is_theirs(open_node: Node, stranger: Stranger):
    with RawFlight(open_node.uri, "bank", "bank has a long password") as bank:
        call = bank.channel.unary_unary(SERVICE + "GetFlightInfo")
        descriptor = field(1, 2) + field(2, statement_query("SELECT * FROM books"))
        info = call(descriptor, metadata=bank.metadata, timeout=60)
    ticket = flight_sql.fields(flight_sql.fields(flight_sql.fields(info)[3])[1])[1]
    with pytest.raises(grpc.RpcError) as refused:
        list(stranger.channel.unary_stream(SERVICE + "DoGet")(field(1, ticket), timeout=60))
    assert refused.value.code() == DENIED
