"""The dialect: how SQLAlchemy connects, executes and ends transactions."""

from __future__ import annotations

import types as python_types
import typing

import adbc_driver_manager
from sqlalchemy import exc
from sqlalchemy.engine import default

import jetway_client

from .compiler import JetwayCompiler, JetwayDDLCompiler, JetwayIdentifierPreparer
from .reflection import SYSTEM_CHOICES, JetwayReflection
from .types import COLUMN_SPECS, JetwayTypeCompiler

_IO = adbc_driver_manager.AdbcStatusCode.IO


class JetwayDialect(JetwayReflection, default.DefaultDialect):
    """`jetway://user:password@host:50050/account?tls=true&system_columns=none`

    The options of the URL are those of `jetway_client.connect`, and `system_columns`: which of a dataset's system columns
    reflection shows, `event_time` (the default), `all` or `none`; `constraints`: what happens to UNIQUE, CHECK, FOREIGN KEY
    and indexes, which datasets do not have, `refuse` (the default) or `ignore`; and `autocommit` (`true`, `false`).
    """

    name = "jetway"
    driver = "adbc"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    statement_compiler = JetwayCompiler
    ddl_compiler = JetwayDDLCompiler
    preparer = JetwayIdentifierPreparer
    type_compiler = JetwayTypeCompiler
    type_compiler_cls = JetwayTypeCompiler
    colspecs = COLUMN_SPECS
    max_identifier_length = 255

    supports_native_boolean = True
    supports_native_decimal = True
    supports_unicode_statements = True
    supports_unicode_binds = True
    returns_unicode_strings = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = False
    supports_default_values = False
    supports_default_metavalue = False
    supports_empty_insert = False
    supports_multivalues_insert = True
    supports_alter = False
    supports_sequences = False
    supports_comments = False
    supports_is_distinct_from = True
    postfetch_lastrowid = False
    cte_follows_insert = True
    implicit_returning = False
    preexecute_autoincrement_sequences = False
    requires_name_normalize = False

    def __init__(
        self, system_columns: str = "event_time", constraints: str = "refuse", **options: typing.Any
    ) -> None:
        super().__init__(**options)
        self.system_columns = system_columns
        self.constraints = constraints

    @classmethod
    def import_dbapi(cls) -> python_types.ModuleType:
        return jetway_client

    if not hasattr(default.DefaultDialect, "import_dbapi"):
        # SQLAlchemy 1.4 knows it by another name.
        dbapi = import_dbapi

    def create_connect_args(self, url: typing.Any) -> tuple[list[str], dict[str, typing.Any]]:
        query = dict(url.query)
        self.system_columns = query.pop("system_columns", self.system_columns)
        if self.system_columns not in SYSTEM_CHOICES:
            raise exc.ArgumentError(f"system_columns must be one of {', '.join(SYSTEM_CHOICES)}")
        self.constraints = query.pop("constraints", self.constraints)
        if self.constraints not in ("refuse", "ignore"):
            raise exc.ArgumentError("constraints must be refuse or ignore")
        autocommit = query.pop("autocommit", "false").lower()
        if autocommit not in ("true", "false"):
            raise exc.ArgumentError("autocommit must be true or false")
        text = url.set(query=query).render_as_string(hide_password=False)
        return [text], {"autocommit": autocommit == "true"}

    def initialize(self, connection: typing.Any) -> None:
        super().initialize(connection)
        self.insert_returning = self.update_returning = self.delete_returning = False

    def _get_server_version_info(self, connection: typing.Any) -> tuple[int, ...]:
        numbers = self._node(connection).version().split("-")[0].split(".")
        return tuple(int(number) for number in numbers if number.isdigit())

    def _get_default_schema_name(self, connection: typing.Any) -> str:
        return self._node(connection).current_schema()

    def _check_max_identifier_length(self, connection: typing.Any) -> None:
        return None

    def _check_unicode_returns(self, connection: typing.Any, additional_tests: object = None) -> bool:
        return True

    def _check_unicode_description(self, connection: typing.Any) -> bool:
        return True

    # Transactions

    def get_isolation_level_values(self, dbapi_connection: typing.Any) -> list[str]:
        return ["AUTOCOMMIT", "READ COMMITTED"]

    _isolation_lookup = ("AUTOCOMMIT", "READ COMMITTED")

    def get_isolation_level(self, dbapi_connection: typing.Any) -> str:
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "READ COMMITTED"

    def set_isolation_level(self, dbapi_connection: typing.Any, level: str) -> None:
        dbapi_connection = getattr(dbapi_connection, "dbapi_connection", dbapi_connection)
        dbapi_connection.autocommit = level.replace("_", " ") == "AUTOCOMMIT"

    def do_ping(self, dbapi_connection: typing.Any) -> bool:
        dbapi_connection.sql("SELECT 1").rows()
        return True

    def is_disconnect(self, error: Exception, connection: object, cursor: object) -> bool:
        return isinstance(error, adbc_driver_manager.Error) and error.status_code == _IO
