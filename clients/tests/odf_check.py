"""Validates an ODF dataset from its files alone, independently of the node that wrote them.

Walks `refs/head` back to the Seed block, decodes every block's flatbuffer by hand, and checks names against contents,
the rules of the chain, and each data slice against the interval that its block announces.

    python odf_check.py DATASET_FOLDER...
"""

import dataclasses
import datetime
import hashlib
import pathlib
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as parquet

BLOCK_KIND = 0x400000
SHA3_256 = bytes([0x16, 0x20])
EVENTS = [
    "None", "AddData", "ExecuteTransform", "Seed", "SetPollingSource", "SetTransform", "SetVocab", "SetAttachments",
    "SetInfo", "SetLicense", "SetDataSchema", "AddPushSource", "DisablePushSource", "DisablePollingSource",
]  # fmt: skip
DATA_EVENTS = ("AddData", "ExecuteTransform")


class Invalid(Exception):
    """The dataset breaks a rule of the format."""


def require(condition: bool, rule: str) -> None:
    if not condition:
        raise Invalid(rule)


def name_of(content: bytes) -> str:
    """The content-addressed name of a file: multibase base16 of its sha3-256 multihash."""
    return multibase(SHA3_256 + hashlib.sha3_256(content).digest())


def multibase(content: bytes) -> str:
    return "f" + content.hex()


class Table:
    """A flatbuffer table: a field is looked up by its slot and is `None` when the writer left it out."""

    def __init__(self, buffer: bytes, position: int):
        self.buffer = buffer
        self.position = position
        self.vtable = position - self._read("<i", position)
        self.vtable_size = self._read("<H", self.vtable)

    @classmethod
    def root(cls, buffer: bytes) -> "Table":
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def scalar(self, slot: int, form: str, default=None):
        at = self._field(slot)
        return default if at is None else self._read(form, at)

    def bytes(self, slot: int) -> bytes | None:
        at = self._field(slot)
        if at is None:
            return None
        start = at + self._read("<I", at)
        length = self._read("<I", start)
        content = self.buffer[start + 4 : start + 4 + length]
        require(len(content) == length, "a vector reaches beyond its buffer")
        return content

    def table(self, slot: int) -> "Table | None":
        at = self._field(slot)
        return None if at is None else Table(self.buffer, at + self._read("<I", at))

    def time(self, slot: int) -> "tuple[datetime.datetime, int] | None":
        """A Timestamp struct as its second and the nanoseconds within it."""
        at = self._field(slot)
        if at is None:
            return None
        year, day, second, nanosecond = struct.unpack_from("<iHxxII", self.buffer, at)
        start = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
        return start + datetime.timedelta(days=day - 1, seconds=second), nanosecond

    def _field(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry >= self.vtable_size:
            return None
        offset = self._read("<H", self.vtable + entry)
        return self.position + offset if offset else None

    def _read(self, form: str, at: int):
        return struct.unpack_from(form, self.buffer, at)[0]


@dataclasses.dataclass
class Slice:
    name: str
    start: int
    end: int
    size: int


@dataclasses.dataclass
class Block:
    name: str
    version: int
    sequence: int
    previous: str | None
    time: tuple[datetime.datetime, int]
    event: str
    prev_offset: int | None = None
    prev_checkpoint: bytes | None = None
    slice: Slice | None = None
    checkpoint: bytes | None = None
    watermark: tuple[datetime.datetime, int] | None = None
    source_state: bool = False

    @property
    def last_offset(self) -> int | None:
        return self.slice.end if self.slice else self.prev_offset


def read_block(name: str, content: bytes) -> Block:
    require(name_of(content) == name, f"block {name} holds other bytes than its name says")
    try:
        return decode_block(name, content)
    except struct.error as error:
        raise Invalid(f"block {name} is malformed: {error}") from error


def decode_block(name: str, content: bytes) -> Block:
    manifest = Table.root(content)
    require(manifest.scalar(0, "<q") == BLOCK_KIND, f"block {name} is not a metadata block")
    version = manifest.scalar(1, "<i")
    require(version in (2, 3), f"block {name} has the unknown version {version}")
    block = Table.root(manifest.bytes(2))
    previous = block.bytes(1)
    tag = block.scalar(3, "<B", 0)
    require(0 < tag < len(EVENTS), f"block {name} has the unknown event {tag}")
    decoded = Block(
        name=name,
        version=version,
        sequence=block.scalar(2, "<Q", 0),
        previous=multibase(previous) if previous else None,
        time=block.time(0),
        event=EVENTS[tag],
    )
    if decoded.event in DATA_EVENTS:
        read_data_event(decoded, block.table(4))
    return decoded


def read_data_event(block: Block, event: Table) -> None:
    # ExecuteTransform has its inputs in front of what both events share, and no source state behind it.
    first = 0 if block.event == "AddData" else 1
    block.prev_checkpoint = event.bytes(first)
    block.prev_offset = event.scalar(first + 1, "<Q")
    data = event.table(first + 2)
    if data is not None:
        interval = data.table(2)
        block.slice = Slice(
            name=multibase(data.bytes(1)),
            start=interval.scalar(0, "<Q", 0),
            end=interval.scalar(1, "<Q", 0),
            size=data.scalar(3, "<Q", 0),
        )
    checkpoint = event.table(first + 3)
    block.checkpoint = checkpoint.bytes(0) if checkpoint is not None else None
    block.watermark = event.time(first + 4)
    block.source_state = block.event == "AddData" and event.table(5) is not None


def read_chain(dataset: pathlib.Path) -> list[Block]:
    """All blocks, oldest first."""
    name = (dataset / "refs" / "head").read_text("ascii")
    require(len(name) == 69 and name == name.strip(), "refs/head is not exactly one block name")
    blocks = []
    while name:
        path = dataset / "blocks" / name
        require(path.is_file(), f"block {name} is missing")
        block = read_block(name, path.read_bytes())
        blocks.append(block)
        name = block.previous
    blocks.reverse()
    return blocks


def validate(dataset: pathlib.Path) -> list[Block]:
    """Checks everything and returns the chain, oldest block first.

    Raises `Invalid` with the first rule that is broken.
    """
    blocks = read_chain(dataset)
    require(blocks[0].event == "Seed", "the first block is not a Seed")
    require(all(block.event != "Seed" for block in blocks[1:]), "a Seed stands later than in the first block")
    for position, block in enumerate(blocks):
        require(block.sequence == position, f"block {block.name} has the sequence number {block.sequence}")
    for before, after in zip(blocks, blocks[1:]):
        require(after.time >= before.time, f"block {after.name} is older than the one before it")
    last = None
    schema_set = False
    for block in blocks:
        schema_set = schema_set or block.event == "SetDataSchema"
        if block.event in DATA_EVENTS:
            check_data_event(block, last)
            require(schema_set or block.slice is None, f"block {block.name} adds data before there is a schema")
            if block.slice:
                check_slice(dataset, block.slice)
            last = block
    return blocks


def check_data_event(block: Block, last: Block | None) -> None:
    has_anything = block.slice or block.checkpoint or block.watermark or block.source_state
    require(has_anything, f"block {block.name} adds nothing")
    if last is not None:
        require(block.prev_offset == last.last_offset, f"block {block.name} does not continue at the last offset")
        if last.watermark is not None:
            grows = block.watermark is not None and block.watermark >= last.watermark
            require(grows, f"block {block.name} loses the watermark")
        if last.event == block.event:
            require(block.prev_checkpoint == last.checkpoint, f"block {block.name} does not carry on the checkpoint")
    if block.slice:
        expected = 0 if block.prev_offset is None else block.prev_offset + 1
        require(block.slice.start == expected, f"block {block.name} leaves a gap or overlaps")
        require(block.slice.end >= block.slice.start, f"block {block.name} has an interval that ends before it starts")


def check_slice(dataset: pathlib.Path, piece: Slice) -> None:
    path = dataset / "data" / piece.name
    require(path.is_file(), f"slice {piece.name} is missing")
    content = path.read_bytes()
    require(len(content) == piece.size, f"slice {piece.name} has {len(content)} bytes, announced are {piece.size}")
    require(name_of(content) == piece.name, f"slice {piece.name} holds other bytes than its name says")
    file = parquet.ParquetFile(pa.BufferReader(content))
    # The offset column comes first, whatever the dataset's vocabulary calls it.
    offsets = file.read(columns=[file.schema_arrow.names[0]]).column(0).to_pylist()
    rows = range(piece.start, piece.end + 1)
    require(len(offsets) == len(rows), f"slice {piece.name} has {len(offsets)} rows, announced are {len(rows)}")
    require(offsets == list(rows), f"slice {piece.name} has other offsets than its block announces")


def datasets(folder: pathlib.Path) -> list[pathlib.Path]:
    """All datasets somewhere under a folder."""
    return sorted(head.parent.parent for head in folder.rglob("refs/head"))


def main() -> None:
    for argument in sys.argv[1:]:
        for dataset in datasets(pathlib.Path(argument)):
            blocks = validate(dataset)
            rows = next((b.last_offset + 1 for b in reversed(blocks) if b.event in DATA_EVENTS), 0)
            print(f"{dataset.name}: valid, {len(blocks)} blocks, {rows} rows")


if __name__ == "__main__":
    main()
