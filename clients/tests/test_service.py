"""What keeps a node answering, whatever its clients do."""

import urllib.request

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa
import pyarrow.flight as flight
import pytest

import flight_sql
from jetway_node import ADMIN, PASSWORD, Node

ENDLESS = "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b WHERE a.value * b.value = 7"


@pytest.fixture
def bearer(node: Node) -> tuple[bytes, bytes]:
    with flight.connect(node.uri) as client:
        return client.authenticate_basic_token(ADMIN, PASSWORD)


def query(sql: str) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(flight_sql.statement_query(sql))


def plans(node: Node) -> int:
    """How many statements the node has planned so far."""
    with urllib.request.urlopen(f"{node.http}/system/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("jetway_plans_total"))


@pytest.mark.covers("StatementQuery", client="pyarrow.flight", traps=[25])
def test_a_query_is_planned_once(fresh_node: Node):
    with flight.connect(fresh_node.uri) as client:
        options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])
        before = plans(fresh_node)
        info = client.get_flight_info(query("SELECT 40 + 2 AS n"), options)
        assert client.do_get(info.endpoints[0].ticket, options).read_all()["n"].to_pylist() == [42]
        assert plans(fresh_node) == before + 1


@pytest.mark.covers("Headers", client="pyarrow.flight", traps=[28])
def test_large_headers_are_accepted(node: Node, bearer: tuple[bytes, bytes]):
    with flight.connect(node.uri) as client:
        options = flight.FlightCallOptions(headers=[bearer, (b"x-someone-elses-token", b"x" * 40_000)])
        assert len(client.get_flight_info(query("SELECT 1"), options).endpoints) == 1


@pytest.mark.covers("GetSqlInfo", client="pyarrow.flight", traps=[19, 41])
def test_metadata_is_told_while_every_thread_computes(fresh_node: Node):
    with flight.connect(fresh_node.uri) as client:
        options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)])
        running = []
        for _ in range(8):
            info = client.get_flight_info(query(ENDLESS), options)
            running.append(client.do_get(info.endpoints[0].ticket, options))
        # Had these to wait for the queries, they would wait for years.
        limited = flight.FlightCallOptions(headers=[client.authenticate_basic_token(ADMIN, PASSWORD)], timeout=60)
        descriptor = flight.FlightDescriptor.for_command(flight_sql.command("CommandGetTableTypes", b""))
        info = client.get_flight_info(descriptor, limited)
        assert client.do_get(info.endpoints[0].ticket, limited).read_all().num_rows > 0
        for reader in running:
            reader.cancel()


@pytest.mark.covers("DoGet", client="ADBC Python", traps=[40])
def test_a_sparse_filter_sends_only_what_it_found(cursor: dbapi.Cursor, table: str):
    rows = pa.table({"id": range(100_000), "text": [f"text number {i} " * 8 for i in range(100_000)]})
    cursor.adbc_ingest(table, rows, mode="create")
    found = cursor.execute(f"SELECT id, text FROM {table} WHERE id % 1000 = 0").fetch_arrow_table()
    assert found.num_rows == 100
    assert found.nbytes < 64 * 1024


@pytest.mark.covers("StatementQuery", client="pyarrow.flight", traps=[39])
def test_memory_runs_out_for_the_query_and_not_for_the_node(tmp_path):
    node = Node(tmp_path / "data", environment={"JETWAY_QUERY__MEMORY_LIMIT": "32MiB"}).start()
    with flight.connect(node.uri) as client:
        login = client.authenticate_basic_token(ADMIN, PASSWORD)
        options = flight.FlightCallOptions(headers=[login], timeout=120)
        hungry = (
            "SELECT count(*) FROM generate_series(1, 20000000) a "
            "JOIN generate_series(1, 20000000) b ON repeat('x', 100) || a.value = repeat('x', 100) || b.value"
        )
        info = client.get_flight_info(query(hungry), options)
        with pytest.raises(pa.ArrowInvalid, match="needs more memory"):
            client.do_get(info.endpoints[0].ticket, options).read_all()
        info = client.get_flight_info(query("SELECT 40 + 2 AS n"), options)
        assert client.do_get(info.endpoints[0].ticket, options).read_all()["n"].to_pylist() == [42]
    assert node.stop() == 0
