"""Sessions as clients use them: ADBC with its cookies, pyarrow.flight with a middleware, and headers alone."""

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from flight_sql import field, statement_query
from jetway_node import ADMIN, PASSWORD, Node

OPTION = "adbc.flight.sql.session.option."


@pytest.fixture
def session(node: Node):
    arguments = {
        "username": ADMIN,
        "password": PASSWORD,
        DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true",
    }
    with dbapi.connect(node.uri, db_kwargs=arguments, autocommit=True) as connection:
        yield connection


def one(connection: dbapi.Connection, sql: str):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@pytest.mark.covers("SetSessionOptions", client="ADBC Python", traps=[15, 30])
def test_options_last_for_a_connection(session: dbapi.Connection):
    low = session.adbc_connection
    low.set_options(**{f"{OPTION}time_zone": "Asia/Tokyo"})
    assert one(session, "SELECT arrow_typeof(now())") == 'Timestamp(ns, "Asia/Tokyo")'
    low.set_options(**{f"{OPTION}schema": "somebody"})
    assert one(session, "SELECT arrow_typeof(now())") == 'Timestamp(ns, "Asia/Tokyo")'
    assert low.get_option(f"{OPTION}schema") == "somebody"


@pytest.mark.covers("GetSessionOptions", client="ADBC Python", traps=[30])
def test_the_current_catalog_and_schema(session: dbapi.Connection):
    assert session.adbc_current_catalog == "jetway"
    assert session.adbc_current_db_schema == ADMIN


@pytest.mark.covers("SetSessionOptions", client="ADBC Python")
@pytest.mark.parametrize("option, value", [("time_zone", "Mars/Olympus"), ("no_such_option", "1"), ("catalog", "x")])
def test_wrong_options_are_refused(session: dbapi.Connection, option: str, value: str):
    with pytest.raises(adbc_driver_manager.Error):
        session.adbc_connection.set_options(**{f"{OPTION}{option}": value})
    assert one(session, "SELECT 1") == 1


class Cookies(flight.ClientMiddlewareFactory):
    """Keeps cookies as a browser does."""

    def __init__(self):
        super().__init__()
        self.jar: dict[str, str] = {}

    def start_call(self, info):
        return _Call(self)


class _Call(flight.ClientMiddleware):
    def __init__(self, cookies: Cookies):
        super().__init__()
        self.cookies = cookies

    def sending_headers(self):
        jar = self.cookies.jar
        return {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}

    def received_headers(self, headers):
        for line in headers.get("set-cookie", []):
            pair, *attributes = line.split("; ")
            name, value = pair.split("=", 1)
            if "Max-Age=0" in attributes:
                self.cookies.jar.pop(name, None)
            else:
                self.cookies.jar[name] = value


@pytest.mark.covers("CloseSession", client="pyarrow.flight", traps=[30])
def test_a_session_by_hand(node: Node):
    cookies = Cookies()
    with flight.connect(node.uri, middleware=[cookies]) as client:
        options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])

        def act(name: str, body: bytes = b"") -> bytes:
            return next(client.do_action(flight.Action(name, body), options)).body.to_pybytes()

        def zone() -> str:
            sql = "SELECT arrow_typeof(now()) AS t"
            info = client.get_flight_info(flight.FlightDescriptor.for_command(statement_query(sql)), options)
            return client.do_get(info.endpoints[0].ticket, options).read_all()["t"][0].as_py()

        act("GetSessionOptions")
        assert cookies.jar == {}, "asking makes no session"
        entry = field(1, "time_zone") + field(2, field(1, "Europe/Paris"))
        assert act("SetSessionOptions", field(1, entry)) == b"", "there are no errors"
        assert set(cookies.jar) == {"jetway_session"}
        assert zone() == 'Timestamp(ns, "Europe/Paris")'
        kept = dict(cookies.jar)
        assert act("CloseSession") == field(1, 1)
        assert cookies.jar == {}
        assert zone() == "Timestamp(ns)"
        cookies.jar.update(kept)
        # pyarrow raises NOT_FOUND as this.
        with pytest.raises(KeyError, match="closed"):
            zone()


@pytest.mark.covers("GetFlightInfo", client="ADBC Python", traps=[15])
def test_headers_do_the_same_for_every_call(node: Node):
    headers = {"jetway-time-zone": "Europe/Paris", "jetway-unheard-of": "1", "database": "whatever"}
    arguments = {DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + name: value for name, value in headers.items()}
    arguments |= {"username": ADMIN, "password": PASSWORD}
    with dbapi.connect(node.uri, db_kwargs=arguments, autocommit=True) as connection:
        assert one(connection, "SELECT arrow_typeof(now())") == 'Timestamp(ns, "Europe/Paris")'


def test_sessions_are_listed_for_their_account(node: Node, session: dbapi.Connection):
    session.adbc_connection.set_options(**{f"{OPTION}time_zone": "Asia/Tokyo"})
    node.create_account("curious", "curious has a long password")
    mine = "account = 'admin' AND options LIKE '%time_zone=Asia/Tokyo%' AND expires_at > now()"
    assert one(session, f"SELECT count(*) FROM system.sessions WHERE {mine}") > 0
    with node.connect("curious", "curious has a long password") as other:
        assert one(other, "SELECT count(*) FROM system.sessions WHERE account <> 'curious'") == 0


def test_kept_answers_are_listed_for_their_account(node: Node, session: dbapi.Connection):
    assert one(session, "SELECT 20 + 2 AS n, 'kept' AS text FROM generate_series(1, 3)") == 22
    assert one(session, "SELECT count(*) FROM system.spool WHERE account = 'admin' AND is_complete AND rows > 0") > 0
