"""Older releases of what people have installed, each in an environment of its own. Packages are fetched, so this runs with
`cargo xtask test --all` only."""

import os
import pathlib
import subprocess
import sys

import client_wheel
import pytest
from jetway_node import Node
from test_sqlalchemy import address

DIALECT = """
import datetime, decimal, sys
import sqlalchemy as sa
assert sa.__version__.startswith(sys.argv[3]), sa.__version__
engine = sa.create_engine(sys.argv[1])
metadata = sa.MetaData()
made = sa.Table(sys.argv[2], metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", sa.Numeric(10, 2)), sa.Column("s", sa.String(5)), sa.Column("at", sa.DateTime))
metadata.create_all(engine)
row = (1, decimal.Decimal("1.50"), "a", datetime.datetime(2020, 1, 1))
with engine.begin() as connection:
    connection.execute(made.insert(), [dict(zip(("id", "n", "s", "at"), row)), {"id": 2, "n": None, "s": None, "at": None}])
with engine.connect() as connection:
    query = sa.select(made).where(made.c.id.in_([1, 5]), made.c.s.contains("a")).limit(3)
    assert connection.execute(query).fetchall() == [row]
inspector = sa.inspect(engine)
assert inspector.has_table(made.name) and made.name in inspector.get_table_names()
assert [c["name"] for c in inspector.get_columns(made.name)] == ["event_time", "id", "n", "s", "at"]
assert inspector.get_pk_constraint(made.name)["constrained_columns"] == ["id"]
"""
FRAMES = """
import sys
import jetway_client, pandas as pd
node = jetway_client.connect(sys.argv[1].split("?")[0], autocommit=True)
assert pd.__version__.startswith(sys.argv[3])
node.ingest(sys.argv[2], pd.DataFrame({"x": [1, 2], "s": ["a", None]}))
assert pd.read_sql(f"SELECT x FROM {sys.argv[2]} ORDER BY x", node)["x"].tolist() == [1, 2]
assert node.sql("SELECT ? + 1", (41,)).one() == 42
"""
FLIGHTSQL_DBAPI = """
import sys, urllib.parse
from flightsql import FlightSQLClient, connect
parts = urllib.parse.urlsplit(sys.argv[1])
client = FlightSQLClient(host=parts.hostname, port=parts.port, user=parts.username,
    password=urllib.parse.unquote(parts.password), insecure=True)
connection = connect(client)
cursor = connection.cursor()
cursor.execute("SELECT 1 AS one, 'a' AS a")
assert [tuple(row) for row in cursor.fetchall()] == [(1, "a")]
tables = client.do_get(client.get_tables(include_schema=True).endpoints[0].ticket).read_all()
assert "table_schema" in tables.column_names
"""

VERSIONS = [
    (
        "SQLAlchemy",
        DIALECT,
        "1.4",
        ["sqlalchemy==1.4.54", "adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0"],
    ),
    (
        "SQLAlchemy",
        DIALECT,
        "2.0",
        ["sqlalchemy>=2.0,<2.1", "adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0"],
    ),
    (
        "pandas",
        FRAMES,
        "2.3",
        ["pandas==2.3.3", "adbc-driver-flightsql==1.10.0", "adbc-driver-manager==1.10.0"],
    ),
    ("flightsql-dbapi", FLIGHTSQL_DBAPI, "0.2.2", ["flightsql-dbapi==0.2.2", "pandas==2.3.3"]),
]

if "JETWAY_TEST_LONG" in os.environ:

    @pytest.mark.timeout(600)
    @pytest.mark.parametrize(
        ("program", "version", "packages"),
        [
            pytest.param(
                *row,
                id=f"{client} {row[1]}",
                marks=pytest.mark.covers("CommandStatementQuery", client=client),
            )
            for client, *row in VERSIONS
        ],
    )
    def test_an_older_release_works(node: Node, tmp_path: pathlib.Path, program, version, packages):
        subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
        python = str(tmp_path / "venv" / "bin" / "python")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        if program != FLIGHTSQL_DBAPI:
            install.append(str(client_wheel.WHEEL))
        subprocess.run(install, check=True, env=environment)
        table = f"older_release_{version.replace('.', '_')}"
        done = subprocess.run(
            [python, "-c", program, address(node, ""), table, version],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
