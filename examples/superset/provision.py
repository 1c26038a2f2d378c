"""Gives a running Superset a database, datasets, charts and a dashboard, through its REST API."""

import json
import urllib.error
import urllib.request
from typing import Any

DASHBOARD = "flights"

# Name and SQL of each dataset; without SQL it is the table itself.
DATASETS = {
    "flights": None,
    "weather": None,
    "flights by airline": """\
SELECT f.time_hour, f.origin, f.dest, f.dep_delay, f.arr_delay, f.distance, a.name AS airline
FROM admin.flights f JOIN admin.airlines a ON a.carrier = f.carrier""",
}


def metric(label: str, sql: str) -> dict[str, str]:
    return {"expressionType": "SQL", "sqlExpression": sql, "label": label, "optionName": f"metric_{label.replace(' ', '_')}"}


# A chart: its title, its dataset, its kind, what it shows, its row on the dashboard, and its width of twelve.
CHARTS = [
    (
        ("Flights", "flights", "big_number_total"),
        {"metric": metric("flights", "count(*)"), "subheader": "out of New York in 2013", "y_axis_format": ",d"},
        (0, 3),
    ),
    (
        ("Minutes late by week", "flights", "echarts_timeseries_line"),
        {
            "x_axis": "time_hour",
            "time_grain_sqla": "P1W",
            "metrics": [metric("minutes late", "avg(dep_delay)")],
            "groupby": ["origin"],
            "row_limit": 1000,
            "show_legend": True,
        },
        (0, 9),
    ),
    (
        ("Airlines with the longest delays", "flights by airline", "echarts_timeseries_bar"),
        {
            "x_axis": "airline",
            "metrics": [metric("minutes late", "avg(arr_delay)")],
            "groupby": [],
            "orientation": "horizontal",
            "x_axis_sort": "minutes late",
            "x_axis_sort_asc": True,
            "row_limit": 20,
            "show_legend": False,
        },
        (1, 7),
    ),
    (
        ("Airports", "flights", "pie"),
        {"metric": metric("flights", "count(*)"), "groupby": ["origin"], "donut": True, "row_limit": 10},
        (1, 5),
    ),
]  # fmt: skip


class Superset:
    """A logged-in client of the REST API."""

    def __init__(self, url: str, user: str, password: str):
        self.url, self.token = url, ""
        login = {"username": user, "password": password, "provider": "db", "refresh": False}
        self.token = self.post("security/login", login)["access_token"]

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("PUT", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error


def database(superset: Superset, node: str) -> int:
    """Adds the node, after Superset has tested the connection; `node` is a SQLAlchemy URL."""
    wanted = {"database_name": "Jetway", "sqlalchemy_uri": node}
    superset.post("database/test_connection/", wanted)
    return superset.post("database/", {**wanted, "expose_in_sqllab": True})["id"]


def provision(superset: Superset, node: str) -> str:
    """Makes everything that is not there yet, and gives the dashboard's address."""
    address = f"{superset.url}/superset/dashboard/{DASHBOARD}/"
    known = superset.get("dashboard/")["result"]
    if any(dashboard["slug"] == DASHBOARD for dashboard in known):
        return address
    number = database(superset, node)
    datasets = {}
    for name, sql in DATASETS.items():
        virtual = {"sql": sql} if sql else {}
        made = superset.post("dataset/", {"database": number, "schema": "admin", "table_name": name, **virtual})
        datasets[name] = made["id"]
    dashboard = superset.post("dashboard/", {"dashboard_title": "Flights out of New York", "slug": DASHBOARD, "published": True})["id"]
    charts = []
    for (title, dataset, kind), shown, place in CHARTS:
        parameters = {"viz_type": kind, "datasource": f"{datasets[dataset]}__table", "adhoc_filters": [], **shown}
        chart = {
            "slice_name": title,
            "viz_type": kind,
            "datasource_id": datasets[dataset],
            "datasource_type": "table",
            "params": json.dumps(parameters),
            "dashboards": [dashboard],
        }
        charts.append((superset.post("chart/", chart)["id"], title, place))
    superset.put(f"dashboard/{dashboard}", {"position_json": json.dumps(layout(charts))})
    return address


def layout(charts: list[tuple[int, str, tuple[int, int]]]) -> dict[str, Any]:
    """Where each chart stands, as Superset writes it down."""
    rows = sorted({row for _, _, (row, _) in charts})
    layout: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [f"ROW-{row}" for row in rows], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": "Flights out of New York"}},
    }
    for row in rows:
        layout[f"ROW-{row}"] = {
            "type": "ROW",
            "id": f"ROW-{row}",
            "children": [f"CHART-{number}" for number, _, (at, _) in charts if at == row],
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
    for number, title, (row, width) in charts:
        layout[f"CHART-{number}"] = {
            "type": "CHART",
            "id": f"CHART-{number}",
            "children": [],
            "parents": ["ROOT_ID", "GRID_ID", f"ROW-{row}"],
            "meta": {"chartId": number, "sliceName": title, "width": width, "height": 50},
        }
    return layout
