"""`kill -9` at any moment: what was acknowledged is there once, what was not is whole or absent."""

import collections
import dataclasses
import os
import random
import threading
import time

import data
import odf_check
import pyarrow as pa
import pytest
from jetway_node import ADMIN, Node
from pusher import SCHEMA, Pusher

KILLS = 250 if os.environ.get("JETWAY_TEST_LONG") else 50
WRITERS = 6
ROWS = 10
TABLE = "ledger"


@dataclasses.dataclass
class Record:
    """What the writers know, under one lock."""

    changed: threading.Condition = dataclasses.field(default_factory=threading.Condition)
    uri: str | None = None
    stopping: bool = False
    acknowledged: set[int] = dataclasses.field(default_factory=set)
    failed: set[int] = dataclasses.field(default_factory=set)

    def node_is(self, uri: str | None) -> None:
        with self.changed:
            self.uri = uri
            self.changed.notify_all()

    def next_node(self, last: str | None) -> str | None:
        """Waits for a node other than the last one; none when it is time to stop."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopping or self.uri not in (None, last), timeout=120)
            return None if self.stopping else self.uri

    def wait_for_acknowledgements(self, more: int) -> None:
        with self.changed:
            goal = len(self.acknowledged) + more
            reached = self.changed.wait_for(lambda: len(self.acknowledged) >= goal, timeout=60)
        assert reached, f"{more} pushes were not acknowledged within a minute"


def write(record: Record, token: str, writer: int) -> None:
    """Pushes numbered batches to whatever node is running; no number is ever used twice."""
    number = writer
    uri = None
    while uri := record.next_node(uri):
        with Pusher(uri, token, TABLE) as pusher:
            while not record.stopping:
                number += WRITERS
                try:
                    pusher.push(number, ROWS)
                except pa.ArrowException:
                    with record.changed:
                        record.failed.add(number)
                    break
                with record.changed:
                    record.acknowledged.add(number)
                    record.changed.notify_all()


@pytest.mark.timeout(900 if KILLS > 50 else 240)
def test_acknowledged_writes_survive_being_killed(fresh_node: Node):
    seed = time.time_ns()
    print(f"seed {seed}")
    dice = random.Random(seed)
    token = fresh_node.token("crash")
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(TABLE, data.reader(SCHEMA.empty_table()), mode="create")

    record = Record()
    record.node_is(fresh_node.uri)
    writers = [threading.Thread(target=write, args=(record, token, n), daemon=True) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        # A few commits go by, and then any moment of the next ones.
        record.wait_for_acknowledgements(dice.randint(1, 10 * WRITERS))
        time.sleep(dice.uniform(0, 0.05))
        record.node_is(None)
        fresh_node.kill()
        if dice.random() < 0.2:
            # Nor may it matter when the start after that is cut short.
            fresh_node.spawn()
            time.sleep(dice.uniform(0, 0.2))
            fresh_node.kill()
        fresh_node.start()
        record.node_is(fresh_node.uri)
    with record.changed:
        record.stopping = True
        record.changed.notify_all()
    for writer in writers:
        writer.join(timeout=60)
        assert not writer.is_alive()
    fresh_node.kill()
    fresh_node.start()

    with fresh_node.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f'SELECT "offset", batch, row FROM {ADMIN}.{TABLE} ORDER BY "offset"')
        rows = cursor.fetch_arrow_table()
    assert rows["offset"].to_pylist() == list(range(rows.num_rows))

    found = collections.defaultdict(list)
    for number, row in zip(rows["batch"].to_pylist(), rows["row"].to_pylist()):
        found[number].append(row)
    whole = list(range(ROWS))
    assert [number for number, rows in found.items() if sorted(rows) != whole] == [], "batches that are not whole"
    assert record.acknowledged - found.keys() == set(), "acknowledged batches that are lost"
    assert found.keys() - record.acknowledged - record.failed == set(), "batches that nobody sent"
    assert len(record.failed) >= KILLS, "the kills did not interrupt any writing"

    assert fresh_node.stop() == 0
    (dataset,) = odf_check.datasets(fresh_node.data_dir)
    blocks = odf_check.validate(dataset)
    assert blocks[-1].last_offset == rows.num_rows - 1
    late = len(found.keys() & record.failed)
    print(f"{len(record.acknowledged)} acknowledged, {len(record.failed)} interrupted ({late} of them had got in)")
