"""Many producers, one dataset: everything arrives once, and far fewer blocks are made than batches came."""

import concurrent.futures
import threading

import data
import odf_check
from jetway_node import ADMIN, Node
from pusher import SCHEMA, Pusher

CLIENTS = 64
BATCHES = 10
ROWS = 1000


def test_many_producers_share_commits(fresh_node: Node):
    token = fresh_node.token("concurrent")
    start = threading.Barrier(CLIENTS, timeout=60)

    def produce(client: int) -> None:
        with Pusher(fresh_node.uri, token, "telemetry", timeout=120) as pusher:
            start.wait()
            for batch in range(BATCHES):
                pusher.push(client * BATCHES + batch, ROWS)

    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("telemetry", data.reader(SCHEMA.empty_table()), mode="create")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            for done in [clients.submit(produce, client) for client in range(CLIENTS)]:
                done.result(timeout=150)
        cursor.execute(
            'SELECT count(*), count(DISTINCT "offset"), min("offset"), max("offset"), '
            f"count(DISTINCT batch * {ROWS} + row), max(batch * {ROWS} + row) FROM {ADMIN}.telemetry"
        )
        n = CLIENTS * BATCHES * ROWS
        assert cursor.fetchone() == (n, n, 0, n - 1, n, n - 1)

    (dataset,) = odf_check.datasets(fresh_node.data_dir)
    blocks = odf_check.validate(dataset)
    pushes = CLIENTS * BATCHES
    print(f"{pushes} pushes made {len(blocks)} blocks")
    assert len(blocks) < pushes / 4


def test_producers_may_make_the_dataset_together(fresh_node: Node):
    """Nobody is told that the dataset is there already when everybody asked to make it or append to it."""
    token = fresh_node.token("together")
    start = threading.Barrier(16, timeout=60)

    def produce(client: int) -> None:
        with Pusher(fresh_node.uri, token, "shared", timeout=60) as pusher:
            start.wait()
            pusher.push(client, 10)

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        for done in [clients.submit(produce, client) for client in range(16)]:
            done.result(timeout=90)
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), count(DISTINCT batch) FROM {ADMIN}.shared")
        assert cursor.fetchone() == (160, 16)
    assert [odf_check.validate(dataset)[0].event for dataset in odf_check.datasets(fresh_node.data_dir)] == ["Seed"]
