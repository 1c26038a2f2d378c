"""The JavaScript client: browsing, queries, types, and the example."""

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import nycflights
import pytest
from jetway_node import ADMIN, PASSWORD, Node

HERE = pathlib.Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "javascript" / "flights.mjs"

Calls = Callable[..., list[dict[str, Any]]]


def node_program(folder: pathlib.Path, program: pathlib.Path) -> pathlib.Path:
    """A copy of a program in a folder where it finds its packages, as after `npm ci` beside it."""
    modules = os.environ.get("JETWAY_TEST_NODE_MODULES")
    assert modules, "set JETWAY_TEST_NODE_MODULES to a folder with the packages, or run the tests with `cargo xtask test`"
    (folder / "node_modules").symlink_to(modules)
    return pathlib.Path(shutil.copy(program, folder))


@pytest.fixture
def calls(node: Node, tmp_path: pathlib.Path) -> Calls:
    """Connects, makes calls of the client, each a name and an argument, and gives what came of them."""
    program = node_program(tmp_path, HERE / "javascript" / "calls.mjs")
    address = urlsplit(node.uri)

    def calls(*wanted: tuple[str, Any], token: str | None = None) -> list[dict[str, Any]]:
        options = {"host": address.hostname, "port": address.port, "tls": False, "headers": []}
        credentials = {"token": token} if token else {"username": ADMIN, "password": PASSWORD}
        login = ("connect", {**options, **credentials})
        lines = [json.dumps({"call": name, "argument": argument}) for name, argument in [login, *wanted]]
        ran = subprocess.run(
            ["node", program], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60
        )
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return calls


def columns(answer: dict[str, Any]) -> dict[str, list[Any]]:
    return {column["name"]: column["values"] for column in answer["value"]["columns"]}


@pytest.mark.covers("StatementQuery", client="JavaScript")
def test_the_example_runs_as_it_is(demo_node, tmp_path: pathlib.Path):
    ran = subprocess.run(
        ["node", node_program(tmp_path, EXAMPLE), demo_node.node.uri],
        env={**os.environ, "JETWAY_TOKEN": demo_node.token},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    assert set(printed) >= {f"admin.{name}" for name in nycflights.TABLES}
    assert [line for line in printed if not line.startswith("admin.")] == [
        "EWR: 120835 flights until 2014-01-01T04:00:00.000Z, 15.1 minutes late",
        "JFK: 111279 flights until 2014-01-01T04:00:00.000Z, 12.1 minutes late",
        "LGA: 104662 flights until 2014-01-01T02:00:00.000Z, 10.3 minutes late",
    ]


@pytest.mark.covers("GetCatalogs", client="JavaScript")
@pytest.mark.covers("GetDbSchemas", client="JavaScript")
@pytest.mark.covers("GetTables", client="JavaScript", traps=[2, 3, 12])
def test_browses(calls: Calls):
    _connected, catalogs, schemas, tables, with_schema = calls(
        ("getCatalogs", None),
        ("getDbSchemas", {"dbSchemaFilterPattern": "ad%"}),
        ("getTables", {"tableNameFilterPattern": "no such table", "includeSchema": False}),
        ("getTables", {"catalog": "jetway", "tableTypes": ["TABLE"], "includeSchema": True}),
    )
    assert columns(catalogs) == {"catalog_name": ["jetway"]}
    assert columns(schemas) == {"catalog_name": ["jetway"], "db_schema_name": [ADMIN]}
    assert list(columns(tables)) == ["catalog_name", "db_schema_name", "table_name", "table_type"]
    assert tables["value"]["rows"] == 0
    assert list(columns(with_schema))[-1] == "table_schema"


# As SQL, as the client names the type, and as the value comes out of it.
TYPES = [
    ("arrow_cast(-7, 'Int8')", "Int8", -7),
    ("arrow_cast(7, 'UInt16')", "Uint16", 7),
    ("9223372036854775807", "Int64", "9223372036854775807"),
    ("arrow_cast(18446744073709551615, 'UInt64')", "Uint64", "18446744073709551615"),
    ("arrow_cast(0.5, 'Float32')", "Float32", 0.5),
    ("0.1", "Float64", 0.1),
    ("TRUE", "Bool", True),
    ("'Zürich 東京'", "Utf8", "Zürich 東京"),
    ("arrow_cast('view', 'Utf8View')", "Utf8", "view"),
    ("arrow_cast('word', 'Dictionary(Int32, Utf8)')", "Utf8", "word"),
    ("X'00ff'", "Binary", "00ff"),
    ("arrow_cast(X'00ff', 'BinaryView')", "Binary", "00ff"),
    ("DATE '1969-07-20'", "Date32<DAY>", -14_256_000_000),
    ("arrow_cast('2024-02-29T12:00:00', 'Timestamp(Millisecond, Some(\"UTC\"))')", "Timestamp<MILLISECOND, UTC>", 1_709_208_000_000),
    ("arrow_cast('2024-02-29T12:00:00', 'Timestamp(Second, None)')", "Timestamp<SECOND>", 1_709_208_000_000),
    ("make_array(1, NULL, 3)", "List<Int64>", ["1", None, "3"]),
    ("arrow_cast(NULL, 'Int32')", "Int32", None),
]  # fmt: skip


@pytest.mark.covers("DoGet", client="JavaScript", traps=[5, 6, 7, 10])
def test_values_of_every_type_arrive(calls: Calls):
    sql = "SELECT " + ", ".join(f"{expression} AS c{i}" for i, (expression, _, _) in enumerate(TYPES))
    _connected, answer = calls(("query", sql))
    assert "error" not in answer
    found = [(column["type"], column["values"][0]) for column in answer["value"]["columns"]]
    assert found == [(type, value) for _, type, value in TYPES]


@pytest.mark.covers("StatementQuery", client="JavaScript", traps=[11])
def test_no_rows_and_many_rows(calls: Calls):
    _connected, none, many = calls(
        ("query", "SELECT 1 AS n, 'a' AS t WHERE FALSE"),
        ("query", "SELECT value FROM generate_series(1, 20000)"),
    )
    assert columns(none) == {"n": [], "t": []}
    assert many["value"]["rows"] == 20_000
    assert columns(many)["value"][-1] == "20000"


@pytest.mark.covers("StatementQuery", client="JavaScript")
def test_a_mistake_is_an_error_and_no_end(calls: Calls):
    """What the node said the client keeps to itself."""
    _connected, mistake, right = calls(("query", "SELECT nothing FROM nowhere"), ("query", "SELECT 1 AS one"))
    assert mistake == {"error": "failed to prepare statement"}
    assert columns(right) == {"one": ["1"]}


@pytest.mark.covers("bearer token", client="JavaScript")
def test_an_invented_token_is_refused(calls: Calls):
    _connected, answer = calls(("query", "SELECT 1"), token="jw_invented")
    assert "error" in answer


@pytest.mark.covers("bearer token", client="JavaScript")
def test_connects_with_a_token(node: Node, calls: Calls):
    _connected, answer = calls(("query", "SELECT 1 AS one"), token=node.token("javascript"))
    assert columns(answer) == {"one": ["1"]}
