"""How connections are made: TLS, certificates of clients, gRPC-Web, health, and the end of a node."""

import base64
import http.client
import pathlib
import shutil
import ssl
import struct
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

import adbc_driver_flightsql.dbapi as dbapi
import grpc
import pyarrow.flight as flight
import pytest
import trustme
from adbc_driver_flightsql import DatabaseOptions

from jetway_node import ADMIN, PASSWORD, Node, run

HEALTH = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class Authority:
    """Signs certificates into files."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self.folder, self.name, self.ca = folder, name, trustme.CA()
        self.certificate = folder / f"{name}.pem"
        self.ca.cert_pem.write_to_path(str(self.certificate))

    def issue(self, *names: str) -> tuple[pathlib.Path, pathlib.Path]:
        issued = self.ca.issue_cert(*names)
        chain, key = self.folder / f"{self.name}-{names[0]}.pem", self.folder / f"{self.name}-{names[0]}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return chain, key


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def start(tmp_path: pathlib.Path, authority: Authority) -> Iterator[Callable[..., Node]]:
    """Starts a node with TLS; more settings as environment variables."""
    nodes = []

    def start(**settings: str) -> Node:
        chain, key = authority.issue("localhost", "127.0.0.1")
        shutil.copy(chain, tmp_path / "node.pem")
        shutil.copy(key, tmp_path / "node.key")
        files = {"JETWAY_TLS__CERTIFICATE": str(tmp_path / "node.pem"), "JETWAY_TLS__KEY": str(tmp_path / "node.key")}
        nodes.append(Node(tmp_path / "data", environment={**files, **settings}).start())
        return nodes[-1]

    yield start
    for node in nodes:
        assert node.stop() == 0


def adbc(node: Node, authority: Authority, **options: str) -> dbapi.Connection:
    roots = {DatabaseOptions.TLS_ROOT_CERTS.value: authority.certificate.read_text()}
    login = {"username": ADMIN, "password": PASSWORD}
    return dbapi.connect(node.uri, db_kwargs={**login, **roots, **options}, autocommit=True)


def answer(connection: dbapi.Connection) -> int:
    with connection, connection.cursor() as cursor:
        return cursor.execute("SELECT 40 + 2").fetchone()[0]


@pytest.mark.covers("TLS", client="ADBC Python", traps=[35])
@pytest.mark.covers("TLS", client="pyarrow.flight", traps=[35])
def test_clients_that_trust_the_authority_connect_and_others_do_not(start, authority, tmp_path):
    node = start()
    assert node.uri.startswith("grpc+tls://") and node.http.startswith("https://")
    assert answer(adbc(node, authority)) == 42

    roots = authority.certificate.read_bytes()
    with flight.connect(node.uri, tls_root_certs=roots) as client:
        assert client.authenticate_basic_token(ADMIN, PASSWORD)[1].startswith(b"Bearer ")
    stranger = Authority(tmp_path, "stranger")
    with flight.connect(node.uri, tls_root_certs=stranger.certificate.read_bytes()) as client:
        with pytest.raises((flight.FlightUnavailableError, flight.FlightInternalError)):
            client.authenticate_basic_token(ADMIN, PASSWORD)
    with flight.connect(node.uri.replace("grpc+tls", "grpc")) as client:
        with pytest.raises((flight.FlightUnavailableError, flight.FlightInternalError)):
            client.authenticate_basic_token(ADMIN, PASSWORD)

    context = ssl.create_default_context(cafile=str(authority.certificate))
    with urllib.request.urlopen(f"{node.http}/system/health?type=readiness", context=context, timeout=30) as page:
        assert page.status == 200


def test_the_command_line_speaks_tls(start, authority):
    node = start()
    login = {"JETWAY_URL": node.uri, "JETWAY_USER": ADMIN, "JETWAY_PASSWORD": PASSWORD}
    done = run("sql", "SELECT 40 + 2 AS n", "--output", "csv", environment={**login, "JETWAY_TLS_CA": str(authority.certificate)})
    assert done.returncode == 0 and "42" in done.stdout, done.stderr
    refused = run("sql", "SELECT 1", environment=login)
    assert refused.returncode != 0 and "no node answers" in refused.stderr


@pytest.mark.covers("mTLS", client="ADBC Python", traps=[35])
def test_clients_must_show_a_certificate_where_the_node_wants_one(start, authority, tmp_path):
    people = Authority(tmp_path, "people")
    node = start(JETWAY_TLS__CLIENT_CA=str(people.certificate))

    def shown(signed_by: Authority) -> dict[str, str]:
        chain, key = signed_by.issue("alice")
        return {
            DatabaseOptions.MTLS_CERT_CHAIN.value: chain.read_text(),
            DatabaseOptions.MTLS_PRIVATE_KEY.value: key.read_text(),
        }

    assert answer(adbc(node, authority, **shown(people))) == 42
    for options in ({}, shown(authority)):
        with pytest.raises(Exception, match="(?i)unavailable|certificate|handshake|connection"):
            answer(adbc(node, authority, **options))
    # Probes have no certificate.
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with urllib.request.urlopen(f"{node.http}/system/health", context=context, timeout=30) as page:
        assert page.status == 200


@pytest.mark.covers("TLS reload", client="ADBC Python", traps=[35])
def test_a_new_certificate_is_used_without_a_restart(start, authority, tmp_path):
    node = start()
    with adbc(node, authority) as before:
        successor = Authority(tmp_path, "successor")
        chain, key = successor.issue("localhost", "127.0.0.1")
        (tmp_path / "node.pem").write_text("half of a certifi")
        time.sleep(6)
        assert answer(adbc(node, authority)) == 42, "files that cannot be used change nothing"
        shutil.copy(key, tmp_path / "node.key")
        shutil.copy(chain, tmp_path / "node.pem")
        deadline = time.monotonic() + 60
        while True:
            try:
                assert answer(adbc(node, successor)) == 42
                break
            except dbapi.Error:
                assert time.monotonic() < deadline, node.log.read_text()[-2000:]
                time.sleep(0.5)
        with before.cursor() as cursor:
            assert cursor.execute("SELECT 1").fetchone() == (1,), "connections go on as they are"


def grpc_web(node: Node, method: str, message: bytes, **headers: str) -> tuple[list[bytes], dict[str, str], dict]:
    """One call as a browser makes it: the messages, the trailers, the headers of the answer."""
    url = urllib.parse.urlsplit(node.uri)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    body = b"\0" + struct.pack(">I", len(message)) + message
    wanted = {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1", **headers}
    connection.request("POST", f"/arrow.flight.protocol.FlightService/{method}", body, wanted)
    response = connection.getresponse()
    data, messages, trailers = response.read(), [], {}
    while data:
        flag, length = struct.unpack(">BI", data[:5])
        part, data = data[5 : 5 + length], data[5 + length :]
        if flag & 0x80:
            trailers = dict(line.split(":", 1) for line in part.decode().split("\r\n") if line)
        else:
            messages.append(part)
    shown = dict(response.getheaders())
    if not trailers:
        trailers = {name: value for name, value in shown.items() if name.startswith("grpc-")}
    return messages, {name.strip(): value.strip() for name, value in trailers.items()}, {"status": response.status, **shown}


def field(number: int, value: bytes) -> bytes:
    """A protobuf field with bytes."""
    def varint(n: int) -> bytes:
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    return varint(number << 3 | 2) + varint(len(value)) + value


@pytest.mark.covers("gRPC-Web", client="raw gRPC")
def test_a_page_can_query(tmp_path):
    node = Node(tmp_path / "data", environment={"JETWAY_FLIGHT__WEB_ORIGINS": "https://app.example.org"}).start()
    basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    page = {"Origin": "https://app.example.org", "Authorization": f"Basic {basic}"}
    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, kind) + field(2, field(1, b"SELECT 40 + 2 AS n"))
    descriptor = b"\x08\x02" + field(2, command)
    infos, trailers, headers = grpc_web(node, "GetFlightInfo", descriptor, **page)
    assert trailers["grpc-status"] == "0" and len(infos) == 1, trailers
    assert headers["access-control-allow-origin"] == "https://app.example.org"
    info = flight.FlightInfo.deserialize(infos[0])
    messages, trailers, _ = grpc_web(node, "DoGet", field(1, info.endpoints[0].ticket.ticket), **page)
    assert trailers["grpc-status"] == "0" and len(messages) >= 2, trailers

    _, trailers, _ = grpc_web(node, "GetFlightInfo", descriptor, Origin="https://app.example.org")
    assert trailers["grpc-status"] == "16", "pages log in like everybody"
    _, _, headers = grpc_web(node, "GetFlightInfo", descriptor, **{**page, "Origin": "https://evil.example.org"})
    assert headers["status"] == 403 and "access-control-allow-origin" not in headers
    assert node.stop() == 0


@pytest.mark.covers("Health", client="raw gRPC", traps=[34])
def test_health_says_when_the_node_wants_no_more_calls(fresh_node):
    address = fresh_node.uri.removeprefix("grpc://")
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(HEALTH)
        assert check(b"", timeout=30) == SERVING
        assert check(field(1, b"arrow.flight.protocol.FlightService"), timeout=30) == SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            check(field(1, b"nobody"), timeout=30)
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
        # A watcher sees the end coming while a long answer is still being read.
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=60)
        assert next(watch) == SERVING
        with flight.connect(fresh_node.uri) as client:
            options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])
            sql = b"SELECT a.value FROM generate_series(1, 3000) a, generate_series(1, 3000) b"
            kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
            descriptor = flight.FlightDescriptor.for_command(field(1, kind) + field(2, field(1, sql)))
            info = client.get_flight_info(descriptor, options)
            reader = client.do_get(info.endpoints[0].ticket, options)
            rows = reader.read_chunk().data.num_rows
            fresh_node.process.terminate()
            assert next(watch) == NOT_SERVING
            watch.cancel()
            rows += sum(chunk.data.num_rows for chunk in reader)
        assert rows == 9_000_000, "what runs is finished"
    assert fresh_node.process.wait(30) == 0
