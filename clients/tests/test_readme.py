"""The Python session in README.md, run as it is printed; only the address is the test node's own."""

import doctest
import pathlib
import re
import sys

import pytest
from jetway_node import Node

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import nycflights  # noqa: E402


@pytest.fixture
def demo(fresh_node: Node, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node as `cargo xtask up` leaves it."""
    token = fresh_node.token("readme")
    folder = tmp_path / "jetway-data"
    folder.mkdir()
    (folder / "admin-token").write_text(token)
    monkeypatch.chdir(tmp_path)
    with fresh_node.connect_with_token(token) as connection:
        nycflights.load(connection)
    return fresh_node


def test_the_session_in_the_readme_runs_as_printed(demo: Node):
    readme = (ROOT / "README.md").read_text("utf-8")
    (session,) = re.findall(r"```python\n(>>> .*?)```", readme, re.DOTALL)
    printed = "grpc://127.0.0.1:50050"
    assert printed in session
    parsed = doctest.DocTestParser().get_doctest(session.replace(printed, demo.uri), {}, "README.md", None, 0)
    said = []
    outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(parsed, out=said.append)
    assert outcome.attempted > 4
    assert outcome.failed == 0, "".join(said)


def test_the_demo_is_loaded_once(demo: Node, capsys: pytest.CaptureFixture):
    with demo.connect() as connection:
        nycflights.load(connection)
        assert capsys.readouterr().out.count("is there already") == len(nycflights.TABLES)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), count(dep_time), count(DISTINCT tailnum) FROM admin.flights")
            assert cursor.fetchone() == (336_776, 328_521, 4_043)
            cursor.execute("SELECT time_hour FROM admin.flights LIMIT 0")
            assert str(cursor.fetch_arrow_table().schema.field("time_hour").type) == "timestamp[s, tz=UTC]"
