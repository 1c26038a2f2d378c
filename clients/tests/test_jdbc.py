"""What BI tools in Java do: Arrow's JDBC driver, through every part of JDBC that it has."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import nycflights
import pytest
from jdbc_driver import Jdbc, JdbcConnection, JdbcError, java
from jetway_node import ADMIN, PASSWORD, Node

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def jdbc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jdbc]:
    jdbc = Jdbc(tmp_path_factory.mktemp("jdbc") / "java.log")
    yield jdbc
    jdbc.close()


@pytest.fixture(scope="module")
def java_connection(jdbc: Jdbc, node: Node) -> Iterator[JdbcConnection]:
    connection = jdbc.connect(node.uri, user=ADMIN, password=PASSWORD)
    yield connection
    connection.close()


# Connecting


@pytest.mark.covers("Handshake", client="JDBC")
def test_connects_with_a_password(java_connection: JdbcConnection):
    assert java_connection.query("SELECT 1 + 1 AS two").dicts() == [{"two": "2"}]


@pytest.mark.covers("bearer token", client="JDBC")
@pytest.mark.parametrize("place", ["property", "URL"])
def test_connects_with_a_token(jdbc: Jdbc, node: Node, place: str):
    token = node.token(f"jdbc {place}")
    suffix, properties = (f"/?token={token}", {}) if place == "URL" else ("", {"token": token})
    connection = jdbc.connect(node.uri, suffix, **properties)
    assert connection.query("SELECT 'in' AS door").dicts() == [{"door": "in"}]
    connection.close()


@pytest.mark.covers("Handshake", client="JDBC")
def test_a_wrong_password_is_refused_with_what_to_do(jdbc: Jdbc, node: Node):
    with pytest.raises(JdbcError) as refused:
        jdbc.connect(node.uri, user=ADMIN, password="not the password").query("SELECT 1")
    assert "password" in refused.value.message
    assert "not the password" not in refused.value.message


@pytest.mark.covers("bearer token", client="JDBC")
def test_an_invented_token_is_refused(jdbc: Jdbc, node: Node):
    with pytest.raises(JdbcError, match="token"):
        jdbc.connect(node.uri, token="jw_invented").query("SELECT 1")


# The example


def test_the_example_runs_as_it_is(demo_node):
    address = demo_node.node.uri.removeprefix("grpc://")
    program = java(str(EXAMPLES / "jdbc" / "Flights.java"), address)
    ran = subprocess.run(
        program, env={**os.environ, "JETWAY_TOKEN": demo_node.token}, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    assert set(printed) >= {f"admin.{name}" for name in nycflights.TABLES}
    assert [line for line in printed if not line.startswith("admin.")] == [
        "Frontier Airlines Inc.             685 flights,  21.9 minutes late",
        "AirTran Airways Corporation      3,260 flights,  20.1 minutes late",
        "ExpressJet Airlines Inc.        54,173 flights,  15.8 minutes late",
    ]
