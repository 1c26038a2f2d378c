"""The 22 queries of TPC-H: the same answers as DuckDB gives over the files that the rows came from.

The queries have the parameters of TPC-H's validation run, and none of their answers has two rows with equal sort keys at these
scale factors, so every row has its place.
"""

import datetime
import decimal
import os
import pathlib
import subprocess
import sysconfig
from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as dbapi
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jetway_node import Node

TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
SCALES = ["0.01", "1"] if os.environ.get("JETWAY_TEST_LONG") else ["0.01"]


def queries() -> list[str]:
    """What stands between the lines with numbers and names."""
    text = pathlib.Path(__file__).with_name("tpch.sql").read_text()
    return [part.split("\n", 1)[1].rstrip().removesuffix(";") for part in text.split("\n-- ")[1:]]


QUERIES = queries()

# Loading the larger tables into a program that was not built for speed takes a while.
pytestmark = pytest.mark.timeout(1800 if "1" in SCALES else 180)


@pytest.fixture(scope="module", params=SCALES, ids=lambda scale: f"SF{scale}")
def engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dbapi.Cursor, duckdb.DuckDBPyConnection]]:
    """A node whose administrator has the tables as datasets, and DuckDB with the files as views."""
    files = tmp_path_factory.mktemp("tpch")
    generator = pathlib.Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", request.param, "--output-dir", files], check=True, capture_output=True)
    reference = duckdb.connect()
    node = Node(tmp_path_factory.mktemp("node") / "data").start()
    try:
        with node.connect() as connection, connection.cursor() as cursor:
            for table in TABLES:
                file = files / f"{table}.parquet"
                reference.execute(f"CREATE VIEW {table} AS FROM '{file}'")
                with pq.ParquetFile(file) as rows:
                    reader = pa.RecordBatchReader.from_batches(rows.schema_arrow, rows.iter_batches())
                    cursor.adbc_ingest(table, reader, mode="create")
            yield cursor, reference
        assert node.stop() == 0
    finally:
        if node.running():
            node.kill()
        reference.close()


def same(ours: object, theirs: object) -> bool:
    """Texts, dates, counts and sums are the same to the last digit. Averages and quotients are decimals here with six digits or
    more behind the point, and floating-point numbers there."""
    if isinstance(theirs, float):
        assert isinstance(ours, decimal.Decimal | float), f"{ours!r} where {theirs!r} is expected"
        return abs(float(ours) - theirs) <= max(1e-6, 1e-9 * abs(theirs))
    if isinstance(theirs, datetime.date | str) or theirs is None:
        return ours == theirs and type(ours) is type(theirs)
    return ours == theirs


@pytest.mark.parametrize("number", range(1, 23))
def test_the_answer_is_that_of_the_reference(engines, number: int):
    cursor, reference = engines
    cursor.execute(QUERIES[number - 1])
    ours = cursor.fetchall()
    theirs = reference.execute(QUERIES[number - 1]).fetchall()
    assert len(ours) == len(theirs)
    different = [pair for pair in zip(ours, theirs) if not all(map(same, *pair)) or len(pair[0]) != len(pair[1])]
    assert different == []
    assert len(theirs) > 0
