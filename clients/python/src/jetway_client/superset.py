"""Apache Superset's view of Jetway: found by its entry point once this package is installed beside Superset."""

from __future__ import annotations

import typing
from datetime import datetime

from sqlalchemy import types
from superset.constants import TimeGrain
from superset.db_engine_specs.base import BaseEngineSpec


def _truncated(unit: str) -> str:
    return f"date_trunc('{unit}', {{col}})"


def _binned(minutes: int) -> str:
    return f"date_bin(INTERVAL '{minutes} minutes', {{col}}, TIMESTAMP '1970-01-01T00:00:00Z')"


class JetwayEngineSpec(BaseEngineSpec):
    """A node as a database of Superset."""

    engine = "jetway"
    engine_name = "Jetway"
    default_driver = "adbc"
    sqlalchemy_uri_placeholder = "jetway://user:password@host:50050/account[?tls=true]"
    allows_alias_in_orderby = True
    supports_dynamic_schema = False
    max_column_name_length = 255

    _time_grain_expressions: typing.ClassVar = {
        None: "{col}",
        TimeGrain.SECOND: _truncated("second"),
        TimeGrain.MINUTE: _truncated("minute"),
        TimeGrain.FIVE_MINUTES: _binned(5),
        TimeGrain.TEN_MINUTES: _binned(10),
        TimeGrain.FIFTEEN_MINUTES: _binned(15),
        TimeGrain.THIRTY_MINUTES: _binned(30),
        TimeGrain.HOUR: _truncated("hour"),
        TimeGrain.SIX_HOURS: _binned(360),
        TimeGrain.DAY: _truncated("day"),
        TimeGrain.WEEK: _truncated("week"),
        TimeGrain.MONTH: _truncated("month"),
        TimeGrain.QUARTER: _truncated("quarter"),
        TimeGrain.YEAR: _truncated("year"),
    }

    @classmethod
    def epoch_to_dttm(cls) -> str:
        """A moment from seconds since 1970."""
        return "to_timestamp_seconds({col})"

    @classmethod
    def epoch_ms_to_dttm(cls) -> str:
        """A moment from milliseconds since 1970."""
        return "to_timestamp_millis({col})"

    @classmethod
    def convert_dttm(
        cls, target_type: str, dttm: datetime, db_extra: dict[str, typing.Any] | None = None
    ) -> str | None:
        """A literal of a moment, for the filters of a chart."""
        if target_type.upper().startswith(str(types.Date())):
            return f"DATE '{dttm.date().isoformat()}'"
        if target_type.upper().startswith(("TIMESTAMP", "DATETIME")):
            return f"TIMESTAMP '{dttm.isoformat(sep=' ', timespec='microseconds')}'"
        return None

    @classmethod
    def get_datatype(cls, type_code: typing.Any) -> str | None:
        """The name of the type in the description of a cursor, which is an Arrow type."""
        return str(type_code).upper()
