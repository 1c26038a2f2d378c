"""Types of columns: SQLAlchemy's in SQL and as Python values, and Arrow's as SQLAlchemy's."""

from __future__ import annotations

import datetime
import decimal
import typing

import pyarrow as pa
from sqlalchemy import types
from sqlalchemy.sql import compiler


class ArrowType(types.UserDefinedType):
    """A type that SQL's own do not cover (list, struct, map...); values are what pyarrow makes of them."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_options: typing.Any) -> str:
        """The name of the type, as Arrow spells it."""
        return self.name


class _DateTime(types.DateTime):
    """Datasets keep moments in UTC. Without `timezone`, a column gives and takes what clocks in UTC show."""

    def result_processor(self, dialect: typing.Any, coltype: object) -> typing.Any:
        zoned = self.timezone

        def process(value: datetime.datetime | None) -> datetime.datetime | None:
            if value is None:
                return None
            if hasattr(value, "to_pydatetime"):
                value = value.to_pydatetime(warn=False)
            if zoned or value.tzinfo is None:
                return value
            return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)

        return process

    def literal_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: f"TIMESTAMP '{value.isoformat(sep=' ')}'"


class _Date(types.Date):
    def bind_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: value.date() if isinstance(value, datetime.datetime) else value

    def literal_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: f"DATE '{value.isoformat()[:10]}'"


class _Time(types.Time):
    def literal_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: f"CAST('{value.isoformat()}' AS TIME)"


class _LargeBinary(types.LargeBinary):
    def literal_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: f"X'{value.hex()}'"


class _Numeric(types.Numeric):
    """Values are decimals on the way in, whatever number was given, so that a list of them has one type."""

    def bind_processor(self, dialect: typing.Any) -> typing.Any:
        def process(value: typing.Any) -> decimal.Decimal | None:
            return (
                value if value is None or isinstance(value, decimal.Decimal) else decimal.Decimal(str(value))
            )

        return process

    def result_processor(self, dialect: typing.Any, coltype: object) -> typing.Any:
        if not self.asdecimal:
            return lambda value: None if value is None else float(value)
        # Arithmetic on the node may give a double.
        return lambda value: decimal.Decimal(str(value)) if isinstance(value, float) else value


class _Float(types.Float):
    def bind_processor(self, dialect: typing.Any) -> typing.Any:
        return lambda value: None if value is None else float(value)


COLUMN_SPECS = {
    types.Numeric: _Numeric,
    types.Float: _Float,
    types.DateTime: _DateTime,
    types.Date: _Date,
    types.Time: _Time,
    types.LargeBinary: _LargeBinary,
}


class JetwayTypeCompiler(compiler.GenericTypeCompiler):
    """Names of types as the node's SQL knows them. Texts have no length, and are Unicode always."""

    def _varchar(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "VARCHAR"

    visit_CHAR = visit_NCHAR = visit_VARCHAR = visit_NVARCHAR = visit_TEXT = visit_CLOB = visit_JSON = (
        _varchar
    )
    visit_UUID = visit_enum = visit_ENUM = _varchar

    def _bytes(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "BYTEA"

    visit_BINARY = visit_VARBINARY = visit_BLOB = visit_large_binary = _bytes

    def visit_FLOAT(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "REAL" if type_.precision is not None and type_.precision <= 24 else "DOUBLE"

    def visit_DOUBLE(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "DOUBLE"

    visit_DOUBLE_PRECISION = visit_DOUBLE

    def visit_NUMERIC(self, type_: typing.Any, **_options: typing.Any) -> str:
        if type_.precision is None:
            return "DECIMAL(38, 10)"
        return f"DECIMAL({type_.precision}, {type_.scale or 0})"

    visit_DECIMAL = visit_NUMERIC

    def _timestamp(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"

    visit_DATETIME = visit_TIMESTAMP = _timestamp

    def visit_TIME(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "TIME"

    def visit_interval(self, type_: typing.Any, **_options: typing.Any) -> str:
        return "INTERVAL"


def of_arrow(type_: pa.DataType) -> types.TypeEngine:
    """The SQLAlchemy type of a column."""
    if pa.types.is_dictionary(type_):
        return of_arrow(type_.value_type)
    if pa.types.is_decimal(type_):
        return types.NUMERIC(type_.precision, type_.scale)
    if pa.types.is_timestamp(type_):
        return types.TIMESTAMP(timezone=type_.tz is not None)
    for fits, made in _PLAIN:
        if fits(type_):
            return made()
    return ArrowType(str(type_))


_PLAIN: tuple[tuple[typing.Callable[[pa.DataType], bool], typing.Callable[[], types.TypeEngine]], ...] = (
    (pa.types.is_boolean, types.BOOLEAN),
    (lambda type_: type_ in (pa.int8(), pa.int16(), pa.uint8()), types.SMALLINT),
    (lambda type_: type_ in (pa.int32(), pa.uint16()), types.INTEGER),
    (lambda type_: type_ in (pa.int64(), pa.uint32()), types.BIGINT),
    (lambda type_: type_ == pa.uint64(), lambda: types.NUMERIC(20, 0)),
    (lambda type_: type_ in (pa.float16(), pa.float32()), lambda: types.FLOAT(24)),
    (lambda type_: type_ == pa.float64(), lambda: types.FLOAT(53)),
    (lambda type_: type_ in (pa.string(), pa.large_string(), pa.string_view()), types.VARCHAR),
    (lambda type_: type_ in (pa.binary(), pa.large_binary(), pa.binary_view()), types.LargeBinary),
    (pa.types.is_fixed_size_binary, types.LargeBinary),
    (pa.types.is_date, types.DATE),
    (pa.types.is_time, types.TIME),
    (lambda type_: pa.types.is_duration(type_) or pa.types.is_interval(type_), types.Interval),
    (pa.types.is_null, types.NullType),
)
