"""Every Arrow type pushed by each client that pushes Arrow: read back equal, or refused with what to send instead."""

import pathlib
from collections.abc import Callable

import adbc_driver_manager
import flight_sql
import pyarrow as pa
import pytest
from jetway_node import ADMIN, Node
from pushed_types import PUSHED, documentation

KEPT = [case for case in PUSHED if not case.refused]
REFUSED = [case for case in PUSHED if case.refused]
Push = Callable[[str, pa.Table], object]


def test_the_documented_types_are_the_tested_ones():
    documented = (pathlib.Path(__file__).parents[2] / "docs" / "types.md").read_text()
    assert documentation() in documented, f"docs/types.md must have the rows\n{documentation()}"


@pytest.fixture(params=["ADBC", "pyarrow.flight"])
def push(request: pytest.FixtureRequest, node: Node, cursor) -> Push:
    if request.param == "ADBC":
        return lambda table, rows: cursor.adbc_ingest(table, rows, mode="create")

    def put(table: str, rows: pa.Table) -> None:
        client, options = node.flight()
        with client:
            flight_sql.ingest(client, options, flight_sql.statement_ingest(table, ADMIN), rows.to_batches())

    return put


@pytest.mark.covers("StatementIngest", client="ADBC Python", traps=[5, 6, 8, 9, 10])
@pytest.mark.covers("StatementIngest", client="pyarrow.flight", traps=[5, 6, 8, 9, 10])
def test_values_of_every_type_are_kept(push: Push, cursor, table: str):
    push(table, pa.table({f"c{index}": case.array for index, case in enumerate(KEPT)}))
    cursor.execute(f'SELECT * FROM {table} ORDER BY "offset"')
    found = cursor.fetch_arrow_table()
    for index, case in enumerate(KEPT):
        column = found[f"c{index}"]
        assert (str(column.type), column.to_pylist()) == (case.kept, case.expected), case


@pytest.mark.covers("StatementIngest", client="ADBC Python", traps=[10, 26])
@pytest.mark.covers("StatementIngest", client="pyarrow.flight", traps=[10, 26])
def test_other_types_are_refused_with_what_to_send_instead(push: Push, cursor, table: str):
    for case in REFUSED:
        with pytest.raises((adbc_driver_manager.ProgrammingError, pa.ArrowInvalid)) as refused:
            push(table, pa.table({"v": case.array}))
        assert case.refused in str(refused.value), case
    with pytest.raises(adbc_driver_manager.ProgrammingError):
        cursor.execute(f"SELECT * FROM {table}")
