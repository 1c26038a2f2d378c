"""Superset from PyPI, started as the example starts it: a database, datasets, a query, charts, and a look at the dashboard.

Heavy: `cargo xtask test --all` runs it, and conftest.py leaves it out elsewhere.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

HERE = pathlib.Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "superset"
sys.path.insert(0, str(EXAMPLE))

import provision  # noqa: E402

# The packages may have to be installed first.
pytestmark = pytest.mark.timeout(1500)


@dataclasses.dataclass
class Running:
    """A Superset that the example started, and its client."""

    client: provision.Superset
    database: int


@pytest.fixture(scope="module")
def superset(demo_node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = demo_node.node.uri.removeprefix("grpc://")
    # What these tests import is none of Superset's business.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = subprocess.Popen(
        [
            *(sys.executable, EXAMPLE / "start.py", "--node", address, "--port", str(port)),
            *("--home", tmp_path_factory.mktemp("superset"), "--packages", os.environ["JETWAY_TEST_SUPERSET"]),
        ],
        env={**clean, "JETWAY_TOKEN": demo_node.token, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    printed = []
    while line := program.stdout.readline():
        printed.append(line)
        if line.startswith("Superset is up"):
            break
    assert printed and printed[-1].startswith("Superset is up"), "".join(printed)
    client = provision.Superset(f"http://127.0.0.1:{port}", "admin", "admin")
    (database,) = client.get("database/")["result"]
    yield Running(client, database["id"])
    program.terminate()
    program.wait(timeout=60)


@pytest.mark.covers("GetDbSchemas", client="Superset")
@pytest.mark.covers("GetTables", client="Superset", traps=[12, 18])
def test_schemas_and_tables_are_listed(superset: Running):
    schemas = superset.client.get(f"database/{superset.database}/schemas/")["result"]
    assert "admin" in schemas
    tables = superset.client.get(f"database/{superset.database}/tables/?q=(schema_name:admin)")["result"]
    assert {"airlines", "airports", "flights", "planes", "weather"} <= {table["value"] for table in tables}


@pytest.mark.covers("GetTables", client="Superset", traps=[3])
def test_columns_are_told_with_their_types(superset: Running):
    found = superset.client.get(f"database/{superset.database}/table_metadata/?name=flights&schema=admin")["columns"]
    types = {column["name"]: column["type"] for column in found}
    assert (types["origin"], types["dep_delay"]) == ("VARCHAR", "INTEGER")
    assert types["time_hour"].startswith("TIMESTAMP")


@pytest.mark.covers("StatementQuery", client="Superset", traps=[18])
def test_a_query_of_sql_lab(superset: Running):
    sql = "SELECT origin, count(*) AS flights FROM admin.flights GROUP BY origin ORDER BY origin"
    answer = superset.client.post(
        "sqllab/execute/", {"database_id": superset.database, "sql": sql, "schema": "admin", "runAsync": False}
    )
    assert answer["data"] == [
        {"origin": "EWR", "flights": 120_835},
        {"origin": "JFK", "flights": 111_279},
        {"origin": "LGA", "flights": 104_662},
    ]


@pytest.mark.covers("StatementQuery", client="Superset", traps=[26])
def test_a_mistake_is_shown(superset: Running):
    with pytest.raises(RuntimeError, match="no_such_column"):
        superset.client.post(
            "sqllab/execute/",
            {"database_id": superset.database, "sql": "SELECT no_such_column FROM admin.flights", "schema": "admin"},
        )


# A chart with a time axis: a grain, and the first moment and the number of the rows that it gives.
GRAINS = [("P1M", "2013-01-01", 13), ("P1W", "2012-12-31", 53), ("P1D", "2013-01-01", 366), ("P1Y", "2013-01-01", 2)]


@pytest.mark.covers("StatementQuery", client="Superset", traps=[8])
@pytest.mark.parametrize(("grain", "first", "rows"), GRAINS)
def test_the_data_of_a_chart_over_time(superset: Running, grain: str, first: str, rows: int):
    dataset = next(
        found for found in superset.client.get("dataset/")["result"] if found["table_name"] == "flights"
    )
    axis = {
        "columnType": "BASE_AXIS", "sqlExpression": "time_hour", "label": "time_hour", "expressionType": "SQL",
        "timeGrain": grain,
    }  # fmt: skip
    query = {
        "columns": [axis],
        "metrics": [provision.metric("flights", "count(*)")],
        "filters": [{"col": "time_hour", "op": "TEMPORAL_RANGE", "val": "2013-01-01 : 2015-01-01"}],
        "orderby": [],
        "row_limit": 1000,
    }
    body = {"datasource": {"id": dataset["id"], "type": "table"}, "queries": [query], "result_format": "json"}
    (answer,) = superset.client.post("chart/data", body)["result"]
    assert answer["rowcount"] == rows
    moments = sorted(row["time_hour"] for row in answer["data"])
    assert moments[0] == _milliseconds(first)
    assert sum(row["flights"] for row in answer["data"]) == 336_776


def _milliseconds(day: str) -> int:
    return int(datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp() * 1000)


@pytest.mark.covers("StatementQuery", client="Superset")
def test_the_dashboard_shows_every_chart(superset: Running, tmp_path: pathlib.Path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "install Chromium (on Debian: apt install chromium): the dashboard is looked at with it"
    (tmp_path / "node_modules").symlink_to(os.environ["JETWAY_TEST_PLAYWRIGHT"])
    program = shutil.copy(HERE / "superset" / "screenshot.mjs", tmp_path)
    picture = tmp_path / "dashboard.png"
    ran = subprocess.run(
        ["node", program, superset.client.url, "admin", "admin", provision.DASHBOARD, browser, picture],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"charts": len(provision.CHARTS), "errors": []}
    # A page without charts is a few kilobytes.
    assert picture.stat().st_size > 40_000
