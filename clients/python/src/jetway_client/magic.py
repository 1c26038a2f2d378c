"""Jupyter: `%load_ext jetway_client.magic`, then `%jetway URL`, `%jetway tables` and `%%sql`."""

from __future__ import annotations

import html
import time
import typing

import pyarrow as pa
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import HTML, DisplayHandle, display

from .connection import Connection, Table, connect

_PROGRESS_SECONDS = 0.5
_FORMS = ("--pandas", "--polars", "--arrow")


class Tables(list[Table]):
    """A list of tables that a notebook shows as one."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(table.schema)}</td><td>{html.escape(table.name)}</td><td>{html.escape(table.type)}</td></tr>"
            for table in self
        )
        return f"<table><thead><tr><th>schema</th><th>table</th><th>type</th></tr></thead><tbody>{rows}</tbody></table>"


@magics_class
class JetwayMagics(Magics):
    """The magics; each notebook has one connection."""

    node: Connection | None = None

    @line_magic
    def jetway(self, line: str) -> Connection | Tables | None:
        """`%jetway URL` connects (without URL: `JETWAY_URL` and `JETWAY_TOKEN`), `%jetway tables [PATTERN]` lists what is
        there, `%jetway close` ends the connection."""
        word, _, rest = line.strip().partition(" ")
        if word == "tables":
            return Tables(self._connected().tables(pattern=rest.strip() or None))
        self.close()
        if word == "close":
            return None
        url = self.shell.user_ns.get(line[1:].strip()) if line.startswith("$") else line.strip()
        self.node = connect(url or None, autocommit=True)
        address = self.node.address
        print(f"Connected to Jetway {self.node.version()} at {address.host}:{address.port}")
        return None

    @cell_magic
    def sql(self, line: str, cell: str) -> typing.Any:
        """`%%sql [NAME <<] [--pandas | --polars | --arrow]` runs the cell and gives a pandas frame, or what is asked for; with
        `NAME <<` it becomes a variable."""
        name, form = _arguments(line)
        node = self._connected()
        started = time.monotonic()
        with node.cursor() as cursor:
            cursor.execute(cell.strip().rstrip(";"))
            if cursor.description is None:
                changed = "" if cursor.rowcount < 0 else f", {cursor.rowcount:,} rows changed"
                print(f"Done in {time.monotonic() - started:.1f} s{changed}")
                return None
            table = _fetch(cursor.fetch_record_batch(), started)
        result = _shaped(table, form)
        if name is None:
            return result
        self.shell.user_ns[name] = result
        return None

    def _connected(self) -> Connection:
        if self.node is None:
            raise UsageError("there is no connection yet: write %jetway jetway://user:password@host:50050")
        return self.node

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self.node is not None:
            self.node.close()
            self.node = None


def _arguments(line: str) -> tuple[str | None, str]:
    words = line.split()
    name = None
    if "<<" in words:
        if words.index("<<") != 1 or not words[0].isidentifier():
            raise UsageError("a result gets a name this way: %%sql NAME <<")
        name, words = words[0], words[2:]
    if len(words) > 1 or any(word not in _FORMS for word in words):
        raise UsageError(f"%%sql takes NAME << and one of {', '.join(_FORMS)}; the statement stands below it")
    return name, words[0] if words else "--pandas"


def _fetch(reader: pa.RecordBatchReader, started: float) -> pa.Table:
    """Takes all rows, and shows how many there are so far when it takes a while."""
    batches: list[pa.RecordBatch] = []
    shown: DisplayHandle | None = None
    rows, last = 0, time.monotonic()
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            text = _said(f"{rows:,} rows so far", started)
            if shown is None:
                shown = display(text, display_id=True)
            else:
                shown.update(text)
    done = _said(f"{rows:,} {'row' if rows == 1 else 'rows'}", started)
    if shown is None:
        display(done)
    else:
        shown.update(done)
    return pa.Table.from_batches(batches, reader.schema)


def _said(what: str, started: float) -> HTML:
    return HTML(f"<small>{what}, {time.monotonic() - started:.1f} s</small>")


def _shaped(table: pa.Table, form: str) -> typing.Any:
    if form == "--arrow":
        return table
    if form == "--polars":
        import polars

        return polars.from_arrow(table)
    return table.to_pandas()


def load_ipython_extension(shell: typing.Any) -> None:
    """Called by `%load_ext jetway_client.magic`."""
    shell.jetway_magics = JetwayMagics(shell)
    shell.register_magics(shell.jetway_magics)


def unload_ipython_extension(shell: typing.Any) -> None:
    """Called by `%unload_ext`, and by `%reload_ext` before it loads again."""
    shell.jetway_magics.close()
