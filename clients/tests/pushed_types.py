"""A column of each Arrow type that clients push, and what datasets make of it."""

import dataclasses
import datetime
import decimal

import pyarrow as pa

UNITS = ("s", "ms", "us", "ns")
MOMENT = datetime.datetime(2024, 7, 29, 12, 0, 0)


@dataclasses.dataclass(frozen=True)
class Pushed:
    """One type: an array with a value and a null."""

    array: pa.Array
    stored: str | None = None
    """The type that is read back, as pyarrow prints it; the pushed one unless given."""
    refused: str | None = None
    """What the refusal advises, for types that datasets do not hold."""

    @property
    def type(self) -> str:
        return str(self.array.type)

    @property
    def kept(self) -> str:
        return self.stored or self.type

    @property
    def expected(self) -> list:
        """The values that are read back: times without a zone are in UTC."""
        naive = pa.types.is_timestamp(self.array.type) and self.array.type.tz is None
        return (self.array.cast(pa.timestamp(self.array.type.unit, "UTC")) if naive else self.array).to_pylist()


def some(value: object, kind: pa.DataType) -> pa.Array:
    return pa.array([value, None], kind)


def integers() -> list[Pushed]:
    signed = [some(-(2 ** (bits - 1)), getattr(pa, f"int{bits}")()) for bits in (8, 16, 32, 64)]
    unsigned = [some(2**bits - 1, getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)]
    return [Pushed(array) for array in signed + unsigned]


CENTS = decimal.Decimal("-1.25")
UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["x", None]))

PUSHED = [
    Pushed(pa.nulls(2), refused="cast it to the type that its values will have"),
    Pushed(some(True, pa.bool_())),
    *integers(),
    Pushed(some(1.5, pa.float16()), "float"),
    Pushed(some(1.5, pa.float32())),
    Pushed(some(0.1, pa.float64())),
    Pushed(some(CENTS, pa.decimal32(9, 2)), "decimal128(9, 2)"),
    Pushed(some(CENTS, pa.decimal64(18, 2)), "decimal128(18, 2)"),
    Pushed(some(CENTS, pa.decimal128(38, 2))),
    Pushed(some(CENTS, pa.decimal256(76, 2))),
    Pushed(some(decimal.Decimal(100), pa.decimal128(5, -2)), refused="cast it to one with a scale of 0 or more"),
    Pushed(some(datetime.date(1969, 12, 31), pa.date32())),
    Pushed(some(datetime.date(2026, 1, 31), pa.date64()), "date32[day]"),
    *(Pushed(some(datetime.time(12, 34, 56), pa.time32(unit))) for unit in UNITS[:2]),
    *(Pushed(some(datetime.time(12, 34, 56, 789), pa.time64(unit))) for unit in UNITS[2:]),
    *(Pushed(some(MOMENT, pa.timestamp(unit)), f"timestamp[{unit}, tz=UTC]") for unit in UNITS),
    *(Pushed(some(MOMENT, pa.timestamp(unit, "UTC"))) for unit in UNITS),
    Pushed(some(MOMENT, pa.timestamp("ms", "Europe/Berlin"))),
    Pushed(some(MOMENT, pa.timestamp("us", "+02:00"))),
    *(Pushed(some(datetime.timedelta(seconds=90), pa.duration(unit)), refused="send it as an integer") for unit in UNITS),
    Pushed(pa.array([pa.MonthDayNano([1, 2, 3]), None]), refused="send it as integers"),
    Pushed(some("naïve", pa.string())),
    Pushed(some("x", pa.large_string()), "string"),
    Pushed(some("longer than twelve bytes", pa.string_view()), "string"),
    Pushed(some(b"\x00\xff", pa.binary())),
    Pushed(some(b"\x00\xff", pa.large_binary()), "binary"),
    Pushed(some(b"longer than twelve bytes", pa.binary_view()), "binary"),
    Pushed(some(b"abc", pa.binary(3))),
    Pushed(some("x", pa.string()).dictionary_encode(), "string"),
    Pushed(some(7, pa.int64()).dictionary_encode(), "int64"),
    Pushed(RUNS, "string"),
    Pushed(some([1, None], pa.list_(pa.int64()))),
    Pushed(some([1], pa.large_list(pa.int64())), "list<item: int64>"),
    Pushed(some([1], pa.list_view(pa.int64())), "list<item: int64>"),
    Pushed(some([1], pa.large_list_view(pa.int64())), "list<item: int64>"),
    Pushed(some([1, 2], pa.list_(pa.int64(), 2))),
    Pushed(some({"a": 1, "b": "y"}, pa.struct([("a", pa.int64()), ("b", pa.string())]))),
    Pushed(some([("k", 7)], pa.map_(pa.string(), pa.int64())), refused="send it as text, or as two lists of keys and values"),
    Pushed(UNION, refused="send a column per alternative"),
]


def documentation() -> str:
    """The rows of the table in docs/types.md."""
    return "\n".join(f"| `{case.type}` | {f'refused: {case.refused}' if case.refused else f'`{case.kept}`'} |" for case in PUSHED)
