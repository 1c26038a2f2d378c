"""The result of a query, in whichever form the caller works with."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import pyarrow as pa

if typing.TYPE_CHECKING:
    import pandas
    import polars

    from .connection import Cursor


class Result:
    """Rows that have not been fetched yet. They can be taken once, whole or batch by batch."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.reader().schema

    def reader(self) -> pa.RecordBatchReader:
        """A stream of batches; the result is never whole in memory. Close the result, or read it to the end."""
        return self._cursor.fetch_record_batch()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with self:
            yield from self.reader()

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        with self:
            return self._cursor.fetch_arrow_table()

    def pandas(self, *, arrow_types: bool = False) -> pandas.DataFrame:
        """All rows as a pandas frame. With `arrow_types` columns keep their Arrow types, so that no value changes
        (integers with nulls stay integers, decimals and nested values stay what they are)."""
        table = self.arrow()
        if not arrow_types:
            return table.to_pandas()
        import pandas

        return table.to_pandas(types_mapper=pandas.ArrowDtype)

    df = pandas

    def polars(self) -> polars.DataFrame:
        """All rows as a polars frame."""
        import polars

        return typing.cast("polars.DataFrame", polars.from_arrow(self.arrow()))

    def rows(self) -> list[tuple[object, ...]]:
        """All rows as tuples of Python values."""
        with self:
            return self._cursor.fetchall()

    def one(self) -> object:
        """The only value of the only row. Raises `ValueError` when the result has another shape."""
        rows = self.rows()
        if len(rows) != 1 or len(rows[0]) != 1:
            raise ValueError(f"one value was expected, but there are {len(rows)} rows")
        return rows[0][0]

    def close(self) -> None:
        """Ends the query, also when rows are left."""
        self._cursor.close()

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
