"""Connections: those of the ADBC driver, with addresses, clear errors, and helpers for data frames."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Literal

import adbc_driver_flightsql
import adbc_driver_manager
import adbc_driver_manager.dbapi as dbapi
import pyarrow as pa
from adbc_driver_flightsql import StatementOptions

from . import errors, keys, rows
from .address import Address
from .result import Result

CATALOG = "jetway"
SYSTEM_COLUMNS = ("offset", "op", "system_time", "event_time")
"""Columns that every dataset has in front of its own."""

Mode = Literal["append", "create", "create_append", "replace"]
Parameters = Sequence[object] | Mapping[str, object] | pa.RecordBatch | pa.Table | None

_HEADER = StatementOptions.RPC_CALL_HEADER_PREFIX.value
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
# Tables are made and removed at once, inside a transaction or not.
_DEFINES = re.compile(r"\s*(CREATE|DROP|ALTER)\b", re.IGNORECASE)
_READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", ""})


def is_query(sql: str) -> bool:
    """Whether a statement only reads, by its first word."""
    found = _FIRST_WORD.match(sql)
    return found is None or found[1].upper() in _READS


@dataclasses.dataclass(frozen=True)
class Table:
    """A dataset as a table."""

    catalog: str
    schema: str
    name: str
    type: str

    def __str__(self) -> str:
        return ".".join(quoted(part) for part in (self.schema, self.name))


def quoted(name: str) -> str:
    """An identifier as SQL wants it, in quotes only where it needs them."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


class Cursor(dbapi.Cursor):
    """A DBAPI cursor. A statement that changes something begins a transaction unless `autocommit` is on."""

    def execute(self, operation: bytes | str, parameters: Parameters = None) -> Cursor:
        """Runs a statement. One that is no query leaves no result, and `rowcount` says how many rows it changed."""
        if isinstance(operation, bytes) or is_query(operation):
            super().execute(operation, parameters)
            return self
        if not _DEFINES.match(operation):
            self._conn._begin()
        self._clear()
        self._prepare_execute(operation, parameters)
        self._rowcount = self._stmt.execute_update()
        return self

    def executemany(self, operation: bytes | str, seq_of_parameters: typing.Any) -> None:
        """Runs a statement once with many rows of parameters, which are sent together."""
        self._conn._begin()
        super().executemany(operation, seq_of_parameters)

    def fetchall(self) -> list[tuple[object, ...]]:
        """All rows that are left."""
        if self._results is None or self._results.rownumber:
            return super().fetchall()
        # A column at a time takes a tenth of the time of a value at a time.
        rows: list[tuple[object, ...]] = []
        for batch in self.fetch_record_batch():
            rows.extend(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        return rows

    def adbc_ingest(self, *arguments: typing.Any, **options: typing.Any) -> int:
        """Takes rows in; see `Connection.ingest`."""
        if self._conn._open:
            raise adbc_driver_manager.NotSupportedError(
                "the driver sends ingests outside of the transaction that is open, so they could not be rolled back: "
                "commit() first, or add the rows with INSERT"
            )
        return super().adbc_ingest(*arguments, **options)


class Connection(dbapi.Connection):
    """A connection to a node; make it with `connect`. A `with` block commits when it ends well, and closes."""

    def __init__(
        self,
        database: adbc_driver_manager.AdbcDatabase,
        connection: adbc_driver_manager.AdbcConnection,
        address: Address,
        *,
        autocommit: bool,
    ) -> None:
        super().__init__(database, connection, {}, autocommit=True)
        self.address = address
        self._manual = not autocommit
        self._open = False

    def cursor(self, *, adbc_stmt_kwargs: Mapping[str, typing.Any] | None = None) -> Cursor:
        """A new cursor."""
        cursor = Cursor(self, adbc_stmt_kwargs)
        self._cursors.add(cursor)
        return cursor

    # Transactions. They begin with the first statement that changes something, so that an idle connection in a pool
    # holds none on the node.

    @property
    def autocommit(self) -> bool:
        """Whether every statement is a transaction of its own."""
        return not self._manual

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        self.commit()
        self._manual = not autocommit

    def _begin(self) -> None:
        if not self._manual or self._open:
            return
        try:
            self._conn.set_autocommit(False)
        except adbc_driver_manager.NotSupportedError as error:
            raise adbc_driver_manager.NotSupportedError(
                f"this node has no transactions: connect with autocommit=True ({error})"
            ) from error
        self._open = True

    def commit(self) -> None:
        """Makes what the transaction changed durable and visible, all of it or nothing."""
        if self._open:
            self._open = False
            try:
                self._conn.commit()
            finally:
                self._conn.set_autocommit(True)

    def rollback(self) -> None:
        """Forgets what the transaction changed."""
        if self._open:
            self._open = False
            try:
                self._conn.rollback()
            finally:
                self._conn.set_autocommit(True)

    def close(self) -> None:
        """Closes the connection and its cursors; what was not committed is forgotten."""
        if self._closed:
            return
        try:
            self.rollback()
        finally:
            super().close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()

    # Helpers

    def sql(self, sql: str, parameters: Parameters = None) -> Result:
        """Runs a query: `connection.sql("SELECT ...").pandas()`, `.polars()`, `.arrow()`, `.rows()`."""
        cursor = self.cursor()
        try:
            return Result(cursor.execute(sql, parameters))
        except BaseException:
            cursor.close()
            raise

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Reads a table (`name`, `schema.name`). Without `columns`: all but the system ones."""
        if columns is None:
            columns = [name for name in self.schema(table).names if name not in SYSTEM_COLUMNS]
        sql = f"SELECT {', '.join(quoted(name) for name in columns) or '*'} FROM {spelled(table)}"
        if where is not None:
            sql += f" WHERE {where}"
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        return self.sql(sql)

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table with their types, system columns in front."""
        with self.cursor() as cursor:
            return cursor.adbc_execute_schema(f"SELECT * FROM {spelled(table)}")

    def tables(self, schema: str | None = None, pattern: str | None = None) -> list[Table]:
        """The tables that the user may see. `schema` and `pattern` are LIKE patterns (`%`, `_`)."""
        found = self.adbc_get_objects(
            depth="tables", db_schema_filter=schema, table_name_filter=pattern
        ).read_all()
        return [
            Table(
                catalog["catalog_name"], schema_["db_schema_name"], table["table_name"], table["table_type"]
            )
            for catalog in found.to_pylist()
            for schema_ in catalog["catalog_db_schemas"] or ()
            for table in schema_["db_schema_tables"] or ()
        ]

    def primary_key(self, table: str) -> list[str]:
        """The columns by which rows of a table are merged, in the order of the key."""
        *schema, name = _parts(table)
        return keys.primary_key(self.address, CATALOG, schema[-1] if schema else self.current_schema(), name)

    def ingest(
        self, table: str, data: object, *, mode: Mode = "create_append", idempotency_key: str | None = None
    ) -> int:
        """Takes rows into a table (`name` or `schema.name`) and returns how many there were; they are streamed.

        `data`: a pandas or polars frame, an Arrow table, batch, reader or dataset, or an iterable of batches or dicts.
        The rows are committed when the call returns, also without `autocommit`; while a transaction is open, it is refused.
        A push that is repeated with the same `idempotency_key` (because its answer got lost) is taken in once.
        """
        *schema, name = _parts(table)
        options = {}
        if idempotency_key is not None:
            options[f"{_HEADER}x-jetway-idempotency-key"] = idempotency_key
        with self.cursor(adbc_stmt_kwargs=options) as cursor:
            return cursor.adbc_ingest(
                name, rows.reader(data), mode=mode, db_schema_name=schema[-1] if schema else None
            )

    def current_schema(self) -> str:
        """The account that names without a schema belong to."""
        setting = "datafusion.catalog.default_schema"
        return str(
            self.sql(f"SELECT value FROM information_schema.df_settings WHERE name = '{setting}'").one()
        )

    def version(self) -> str:
        """Version of the node."""
        return str(self.adbc_get_info().get("vendor_version", ""))


# polars looks at the name of the module to see that it can fetch Arrow data instead of rows.
Connection.__module__ = "adbc_driver_flightsql.dbapi"


def _parts(table: str) -> list[str]:
    """The parts of a table's name; those in quotes may hold dots."""
    parts = re.findall(r'"(?:[^"]|"")+"|[^".]+', table)
    if not parts or len(parts) > 3 or ".".join(parts) != table:
        raise ValueError(f"{table!r} is no name of a table: write name, schema.name or catalog.schema.name")
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]


def spelled(table: str) -> str:
    """A table's name in SQL."""
    return ".".join(quoted(part) for part in _parts(table))


def connect(
    url: str | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    autocommit: bool = False,
    schema: str | None = None,
    options: Mapping[str, object] | None = None,
    **more: object,
) -> Connection:
    """Connects to a node, and tells at once when that does not work.

    `url`: `jetway://user:password@host:50050/account?tls=true`, `grpc://`, `grpc+tls://`, `http://`, `https://` or
    `host:port`; without it `JETWAY_URL`, and `JETWAY_TOKEN` without a user. `schema` is the account that names without
    a schema belong to (the user's own by default). `options`, or further arguments by name: see `address.OPTIONS`.
    Raises `AddressError` for an address that cannot be used and `OperationalError` when no node answers there.
    """
    given = {**(options or {}), **more, "user": user, "password": password, "token": token, "schema": schema}
    address = Address.parse(url, **given)
    settings = address.database_options()
    database = connection = None
    try:
        database = adbc_driver_flightsql.connect(address.uri, db_kwargs=settings)
        connection = adbc_driver_manager.AdbcConnection(database)
        opened = Connection(database, connection, address, autocommit=autocommit)
    except BaseException as error:
        for part in (connection, database):
            if part is not None:
                part.close()
        _raise(error, address)
    try:
        # The driver connects when something is asked.
        opened.adbc_get_table_types()
    except BaseException as error:
        opened.close()
        _raise(error, address)
    return opened


def _raise(error: BaseException, address: Address) -> typing.NoReturn:
    if not isinstance(error, adbc_driver_manager.Error):
        raise error
    explained = errors.explained(error, address)
    if explained is error:
        raise error
    raise explained from error
