"""What is there: schemas (accounts), tables (datasets), columns."""

from __future__ import annotations

import typing

import pyarrow as pa
from sqlalchemy import exc
from sqlalchemy.engine import reflection

from ..connection import SYSTEM_COLUMNS, Connection, Table
from .types import of_arrow

SYSTEM_CHOICES = {"none": (), "event_time": ("event_time",), "all": SYSTEM_COLUMNS}


def sql_name(name: str) -> str:
    """A dataset's name as SQL writes it without quotes: names of datasets know no `_`, which stands for `-`."""
    return name.replace("-", "_")


def quoted_table(table_name: str, schema: str | None) -> str:
    """The name of a table in quotes."""
    parts = [part for part in (schema, table_name) if part]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _cached(function: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
    """Remembers answers during one inspection. SQLAlchemy 1.4 writes the signature of such a function as text, and
    stumbles over annotations in it."""
    function.__annotations__ = {}
    return reflection.cache(function)


class JetwayReflection:
    """The part of the dialect that looks at the node."""

    system_columns: str
    default_schema_name: str | None

    @staticmethod
    def _node(connection: typing.Any) -> Connection:
        pooled = connection.connection
        # While SQLAlchemy 1.4 gets to know a database, the connection is not in the pool yet.
        return getattr(pooled, "dbapi_connection", pooled)

    def _tables(self, connection: typing.Any, schema: str | None, name: str | None = None) -> list[Table]:
        schema = schema or self.default_schema_name
        found = self._node(connection).tables(schema, name)
        # The filters are patterns, in which `_` is any letter.
        return [table for table in found if sql_name(table.schema) == sql_name(schema or "")]

    @_cached
    def get_schema_names(self, connection: typing.Any, **_options: typing.Any) -> list[str]:
        objects = self._node(connection).adbc_get_objects(depth="db_schemas").read_all().to_pylist()
        return [
            schema["db_schema_name"] for catalog in objects for schema in catalog["catalog_db_schemas"] or ()
        ]

    @_cached
    def get_table_names(
        self, connection: typing.Any, schema: str | None = None, **_options: typing.Any
    ) -> list[str]:
        return [sql_name(table.name) for table in self._tables(connection, schema) if table.type != "VIEW"]

    @_cached
    def get_view_names(
        self, connection: typing.Any, schema: str | None = None, **_options: typing.Any
    ) -> list[str]:
        return [sql_name(table.name) for table in self._tables(connection, schema) if table.type == "VIEW"]

    @_cached
    def has_table(
        self, connection: typing.Any, table_name: str, schema: str | None = None, **_options: object
    ) -> bool:
        wanted = sql_name(table_name).lower()
        found = self._tables(connection, schema, table_name)
        return any(sql_name(table.name).lower() == wanted for table in found)

    @_cached
    def _schema(
        self, connection: typing.Any, table_name: str, schema: str | None = None, **_options: object
    ) -> pa.Schema:
        node = self._node(connection)
        with node.cursor() as cursor:
            try:
                return cursor.adbc_execute_schema(f"SELECT * FROM {quoted_table(table_name, schema)}")
            except node.Error as error:
                if not self.has_table(connection, table_name, schema):
                    raise exc.NoSuchTableError(table_name) from error
                raise

    @_cached
    def get_columns(
        self, connection: typing.Any, table_name: str, schema: str | None = None, **options: typing.Any
    ) -> list[dict[str, typing.Any]]:
        shown = SYSTEM_CHOICES[self.system_columns]
        return [
            {
                "name": field.name,
                "type": of_arrow(field.type),
                "nullable": field.nullable,
                "default": None,
            }
            for field in self._schema(connection, table_name, schema, **options)
            if field.name not in SYSTEM_COLUMNS or field.name in shown
        ]

    @_cached
    def get_pk_constraint(
        self, connection: typing.Any, table_name: str, schema: str | None = None, **options: typing.Any
    ) -> dict[str, typing.Any]:
        self._schema(connection, table_name, schema, **options)
        columns = self._node(connection).primary_key(quoted_table(table_name, schema))
        return {"constrained_columns": columns, "name": None}

    def _none_of(
        self, connection: typing.Any, table_name: str, schema: str | None = None, **options: typing.Any
    ) -> list:
        """Datasets have no such thing, but only those that are there."""
        self._schema(connection, table_name, schema, **options)
        return []

    get_foreign_keys = get_indexes = get_unique_constraints = get_check_constraints = _none_of
