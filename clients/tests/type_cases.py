"""A column of each Arrow type in SQL, the type that clients get for it, and its value in Python."""

import dataclasses
import datetime
import decimal
from typing import Any

UTC = datetime.timezone.utc
HUGE = decimal.Decimal("99999999999999999999999999999999999.999")


@dataclasses.dataclass(frozen=True)
class TypeCase:
    """One type."""

    type: str
    """Its name in Arrow."""
    sql: str
    """An expression that has it."""
    sent: str
    """The type that is sent under the plain profile, as pyarrow prints it."""
    value: Any
    """What `pyarrow` makes of it."""


def cast(value: str, arrow_type: str) -> str:
    return f"arrow_cast({value}, '{arrow_type}')"


CASES = [
    TypeCase("Null", "NULL", "null", None),
    TypeCase("Boolean", "true", "bool", True),
    TypeCase("Int8", cast("-128", "Int8"), "int8", -128),
    TypeCase("Int16", cast("-32768", "Int16"), "int16", -32768),
    TypeCase("Int32", cast("-2147483648", "Int32"), "int32", -(2**31)),
    TypeCase("Int64", cast("'-9223372036854775808'", "Int64"), "int64", -(2**63)),
    TypeCase("UInt8", cast("255", "UInt8"), "uint8", 255),
    TypeCase("UInt16", cast("65535", "UInt16"), "uint16", 65535),
    TypeCase("UInt32", cast("4294967295", "UInt32"), "uint32", 2**32 - 1),
    TypeCase("UInt64", cast("'18446744073709551615'", "UInt64"), "uint64", 2**64 - 1),
    TypeCase("Float16", cast("1.5", "Float16"), "float", 1.5),
    TypeCase("Float32", cast("1.5", "Float32"), "float", 1.5),
    TypeCase("Float64", cast("0.1", "Float64"), "double", 0.1),
    TypeCase("Decimal32", cast("'1.25'", "Decimal32(9, 2)"), "decimal128(9, 2)", decimal.Decimal("1.25")),
    TypeCase("Decimal64", cast("'1.25'", "Decimal64(18, 2)"), "decimal128(18, 2)", decimal.Decimal("1.25")),
    TypeCase("Decimal128", cast(f"'{HUGE}'", "Decimal128(38, 3)"), "decimal128(38, 3)", HUGE),
    TypeCase("Decimal256", cast("'1.25'", "Decimal256(76, 2)"), "decimal256(76, 2)", decimal.Decimal("1.25")),
    TypeCase("Date32", "DATE '1969-12-31'", "date32[day]", datetime.date(1969, 12, 31)),
    TypeCase("Date64", cast("DATE '2026-01-31'", "Date64"), "date64[ms]", datetime.date(2026, 1, 31)),
    TypeCase("Time32(s)", cast("'12:34:56'", "Time32(Second)"), "time32[s]", datetime.time(12, 34, 56)),
    TypeCase(
        "Time64(us)",
        cast("'12:34:56.789012'", "Time64(Microsecond)"),
        "time64[us]",
        datetime.time(12, 34, 56, 789012),
    ),
    TypeCase(
        "Timestamp(us)",
        cast("'1969-12-31T23:59:59'", "Timestamp(Microsecond, None)"),
        "timestamp[us]",
        datetime.datetime(1969, 12, 31, 23, 59, 59),
    ),
    TypeCase(
        "Timestamp(us, UTC)",
        cast("'2026-01-01T00:00:00.000001Z'", 'Timestamp(Microsecond, Some("UTC"))'),
        "timestamp[us, tz=UTC]",
        datetime.datetime(2026, 1, 1, 0, 0, 0, 1, UTC),
    ),
    TypeCase(
        "Timestamp(ms, Europe/Berlin)",
        cast("'2026-03-29T01:30:00Z'", 'Timestamp(Millisecond, Some("Europe/Berlin"))'),
        "timestamp[ms, tz=Europe/Berlin]",
        datetime.datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    ),
    TypeCase("Duration(s)", cast("90", "Duration(Second)"), "duration[s]", datetime.timedelta(seconds=90)),
    TypeCase("Utf8", "'naïve'", "string", "naïve"),
    TypeCase("LargeUtf8", cast("'x'", "LargeUtf8"), "large_string", "x"),
    TypeCase("Utf8View", cast("'longer than twelve bytes'", "Utf8View"), "string", "longer than twelve bytes"),
    TypeCase("Binary", cast("X'00ff'", "Binary"), "binary", b"\x00\xff"),
    TypeCase("LargeBinary", cast("X'00ff'", "LargeBinary"), "large_binary", b"\x00\xff"),
    TypeCase("BinaryView", cast("X'00ff'", "BinaryView"), "binary", b"\x00\xff"),
    TypeCase("FixedSizeBinary", cast("X'616263'", "FixedSizeBinary(3)"), "fixed_size_binary[3]", b"abc"),
    TypeCase("Dictionary", cast("'x'", "Dictionary(Int32, Utf8)"), "string", "x"),
    TypeCase("List", "[1, NULL]", "list<item: int64>", [1, None]),
    TypeCase("LargeList", cast("[1]", "LargeList(Int64)"), "large_list<item: int64>", [1]),
    TypeCase("FixedSizeList", cast("[1, 2]", "FixedSizeList(2, Int64)"), "fixed_size_list<item: int64>[2]", [1, 2]),
    TypeCase("Struct", "{'a': 1, 'b': 'y'}", "struct<a: int64, b: string>", {"a": 1, "b": "y"}),
    TypeCase("Map", "MAP {'k': 7}", "map<string, int64>", [("k", 7)]),
]


def query(cases: list[TypeCase] = CASES) -> str:
    """One row with a column for each case, named `c0`, `c1` and so on."""
    return "SELECT " + ", ".join(f"{case.sql} AS c{index}" for index, case in enumerate(cases))
