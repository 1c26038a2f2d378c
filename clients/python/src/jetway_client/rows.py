"""Rows on their way to a node: whatever holds them becomes a stream of Arrow batches of a bounded size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pyarrow as pa

MESSAGE_BYTES = 8 * 1024 * 1024
"""About the size of a message; the driver refuses to send more than 16 MiB at once."""


def reader(data: object) -> pa.RecordBatchReader:
    """A stream over pandas and polars frames, Arrow tables, batches, readers and datasets, anything with the Arrow
    PyCapsule protocol, and iterables of batches or of dicts. Raises `TypeError` for anything else."""
    stream = _stream(data)
    return pa.RecordBatchReader.from_batches(stream.schema, _bounded(stream))


def _stream(data: object) -> pa.RecordBatchReader:
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.Table):
        return data.to_reader()
    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(data.schema, [data])
    if type(data).__module__.partition(".")[0] == "pandas":
        # Its own way into Arrow would keep an index without a name as a column.
        return pa.Table.from_pandas(data, preserve_index=_has_named_index(data)).to_reader()
    if hasattr(data, "scanner"):
        return data.scanner().to_reader()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if hasattr(data, "__arrow_c_array__"):
        batch = pa.record_batch(data)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, dict)):
        return _of_items(iter(data))
    raise TypeError(
        f"rows cannot come from {type(data).__name__}: give a pandas or polars frame, an Arrow table, reader or dataset, "
        "or an iterable of record batches or dicts"
    )


def _has_named_index(frame: object) -> bool:
    return any(name is not None for name in frame.index.names)  # type: ignore[attr-defined]


def _of_items(items: Iterator[object]) -> pa.RecordBatchReader:
    first = next(items, None)
    if first is None:
        raise ValueError(
            "there are no batches, so the columns are not known: give an empty Arrow table instead"
        )
    if isinstance(first, dict):
        return pa.Table.from_pylist([first, *items]).to_reader()
    if isinstance(first, pa.Table):
        batches = (batch for table in itertools.chain([first], items) for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(first.schema, batches)
    if isinstance(first, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], items))
    raise TypeError(f"an iterable of {type(first).__name__} is none of record batches or dicts")


def _bounded(stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in stream:
        size = batch.get_total_buffer_size() if batch.num_rows == 0 else batch.nbytes
        pieces = -(-size // MESSAGE_BYTES)
        if pieces <= 1:
            yield batch
            continue
        rows = max(1, -(-batch.num_rows // pieces))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)
