"""A table with every type that a user can push, made by arithmetic so that any row can be checked."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNITS = ("s", "ms", "us", "ns")
# 2024-02-28: the rows cross a leap day.
START = 1_709_164_800


def every_type(rows: int) -> pa.Table:
    """Nulls in every column but `id`, each at other rows, so that no two validity bitmaps are alike."""
    index = np.arange(rows, dtype=np.int64)
    columns: dict[str, pa.Array] = {"id": pa.array(index)}

    def add(name: str, values: pa.Array) -> None:
        period = 5 + len(columns)
        keep = pa.array(index % period != period - 1)
        columns[name] = pc.if_else(keep, values, pa.scalar(None, values.type))

    for bits in (8, 16, 32, 64):
        add(f"int{bits}", pa.array((index * 7919 - rows).astype(f"int{bits}")))
        add(f"uint{bits}", pa.array((index * 104729).astype(f"uint{bits}")))
    add("float32", pa.array((index / 3).astype(np.float32)))
    add("float64", pa.array(np.where(index % 1000 == 0, np.nan, np.sin(index))))
    add("truth", pa.array(index % 3 == 0))
    words = pa.array(["", "Zürich", "東京", "naïve\ttab", "🛫🛬", "plain", 'quote"', "back\\slash"])
    add("text", words.take(pa.array(index % len(words))))
    add("binary", pc.cast(words, pa.binary()).take(pa.array((index + 1) % len(words))))
    for unit, factor in zip(UNITS, (1, 10**3, 10**6, 10**9)):
        moments = START * factor + index * 61 * factor + (index % factor if factor > 1 else 0)
        add(f"time_{unit}", pa.array(moments).cast(pa.timestamp(unit, tz="UTC")))
    add("zurich", pa.array(START + index).cast(pa.timestamp("s", tz="Europe/Zurich")))
    add("date", pa.array((19_000 + index % 1000).astype(np.int32)).cast(pa.date32()))
    for precision, scale in ((9, 2), (18, 0), (38, 10)):
        few = pa.array([decimal.Decimal(n).scaleb(-scale) for n in (-(10**8), -1, 0, 1, 123_456_789)])
        kept = few.cast(pa.decimal128(precision, scale))
        add(f"decimal_{precision}_{scale}", kept.take(pa.array(index % len(few))))
    lists = pa.array([[], [1], [2, None, 3], [4, 5, 6, 7]], pa.list_(pa.int32()))
    add("numbers", lists.take(pa.array(index % len(lists))))
    return pa.table(columns)


def small(rows: int = 3) -> pa.Table:
    """A few rows, for tests that are not about the values."""
    return pa.table({"id": pa.array(range(rows), pa.int64()), "name": [f"row {n}" for n in range(rows)]})


def reader(table: pa.Table, rows: int = 50_000) -> pa.RecordBatchReader:
    """A table as batches that the ADBC driver can send.

    It refuses messages over 16 MiB, and for a table without any batch it sends nothing at all, not even the command.
    """
    batches = table.to_batches(max_chunksize=rows) or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return pa.RecordBatchReader.from_batches(table.schema, batches)


def differences(expected: pa.Table, found: pa.Table) -> list[str]:
    """What differs between two tables, column by column."""
    if expected.column_names != found.column_names:
        return [f"columns {found.column_names} instead of {expected.column_names}"]
    if expected.num_rows != found.num_rows:
        return [f"{found.num_rows} rows instead of {expected.num_rows}"]
    wrong = []
    for name in expected.column_names:
        left, right = expected.column(name), found.column(name)
        if left.type != right.type:
            wrong.append(f"{name} is {right.type} instead of {left.type}")
        elif pa.types.is_floating(left.type):
            # NaN differs from itself: the bits are compared instead.
            width = f"int{left.type.bit_width}"
            nulls = left.is_null().equals(right.is_null())
            same = np.array_equal(*(column.fill_null(0).to_numpy().view(width) for column in (left, right)))
            if not (nulls and same):
                wrong.append(f"{name} has other values")
        elif not left.equals(right):
            wrong.append(f"{name} has other values")
    return wrong


def utc(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=datetime.UTC)
