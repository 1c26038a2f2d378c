"""Python client of Jetway: DBAPI 2.0 (PEP 249) over Arrow Flight SQL, with Arrow, pandas and polars in and out.

>>> import jetway_client
>>> node = jetway_client.connect("jetway://localhost:50050", token="...")  # doctest: +SKIP
>>> node.sql("SELECT * FROM admin.flights LIMIT 10").pandas()  # doctest: +SKIP
"""

from adbc_driver_flightsql.dbapi import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    DatabaseError,
    DataError,
    Date,
    DateFromTicks,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    Warning,
)

from ._version import __version__
from .address import Address, AddressError
from .connection import Connection, Cursor, Table, connect
from .result import Result

apilevel = "2.0"
# Threads may share the module, not connections.
threadsafety = 1
paramstyle = "qmark"

Binary = bytes

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Address",
    "AddressError",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Result",
    "Table",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__version__",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
