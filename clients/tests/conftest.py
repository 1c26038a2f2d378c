"""What the end-to-end tests share: one node for all that do not harm it, and fresh ones for those that do."""

import dataclasses
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator

import adbc_driver_flightsql.dbapi as dbapi
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

import client_wheel  # noqa: E402, F401
import nycflights  # noqa: E402
from jetway_node import ADMIN, PASSWORD, Node  # noqa: E402
from flight_sql import RawFlight  # noqa: E402


# Superset is installed by `cargo xtask test --all` alone.
collect_ignore = [] if os.environ.get("JETWAY_TEST_SUPERSET") else ["test_superset.py"]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node that most tests share; each uses datasets of its own."""
    node = Node(tmp_path_factory.mktemp("node") / "data").start()
    yield node
    assert node.running(), f"a test made the node end: {node.log.read_text()[-4000:]}"
    assert node.stop() == 0


@dataclasses.dataclass
class Demo:
    """A node with the demo datasets and a token for it, as `cargo xtask up` leaves it."""

    node: Node
    token: str


@pytest.fixture(scope="session")
def demo_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The node that the examples run against."""
    node = Node(tmp_path_factory.mktemp("demo") / "data").start()
    token = node.token("demo")
    with node.connect_with_token(token) as connection:
        nycflights.load(connection)
    yield Demo(node, token)
    assert node.running(), f"an example made the node end: {node.log.read_text()[-4000:]}"
    assert node.stop() == 0


@pytest.fixture
def fresh_node(tmp_path: pathlib.Path) -> Iterator[Node]:
    """A node of the test's own, which it may kill and start again."""
    node = Node(tmp_path / "data").start()
    yield node
    if node.running():
        node.kill()


@pytest.fixture
def connection(node: Node) -> Iterator[dbapi.Connection]:
    with node.connect() as connection:
        yield connection


@pytest.fixture
def cursor(connection: dbapi.Connection) -> Iterator[dbapi.Cursor]:
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def raw(node: Node) -> Iterator[RawFlight]:
    with RawFlight(node.uri, ADMIN, PASSWORD) as client:
        yield client


@pytest.fixture
def table(request: pytest.FixtureRequest) -> str:
    """A table name that no other test uses, without characters that need quotes."""
    return re.sub(r"[^a-z0-9]+", "_", request.node.name.lower()).strip("_")


@pytest.fixture
def count(cursor: dbapi.Cursor) -> Callable[[str], int]:
    """Counts the rows of a table."""

    def count(table: str) -> int:
        cursor.execute(f"SELECT count(*) FROM {ADMIN}.{table}")
        return cursor.fetchone()[0]

    return count
