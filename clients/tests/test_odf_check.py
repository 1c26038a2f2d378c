"""The independent reader of ODF files, on files of its own making: it must find what is wrong."""

import pathlib
import struct

import odf_check
import pyarrow as pa
import pytest
from jetway_node import ADMIN, Node


@pytest.fixture
def dataset(fresh_node: Node) -> pathlib.Path:
    """The files of a dataset with two slices."""
    rows = pa.table({"x": list(range(100))})
    with fresh_node.connect() as connection, connection.cursor() as cursor:
        for mode in ("create", "append"):
            cursor.adbc_ingest("checked", rows, mode=mode)
        cursor.execute(f"SELECT count(*) FROM {ADMIN}.checked")
        assert cursor.fetchone() == (200,)
    fresh_node.stop()
    (dataset,) = odf_check.datasets(fresh_node.data_dir)
    return dataset


def test_a_sound_dataset_is_valid(dataset):
    blocks = odf_check.validate(dataset)
    assert blocks[0].event == "Seed"
    assert [block.slice.end for block in blocks if block.slice] == [99, 199]
    assert {block.version for block in blocks} == {3}


@pytest.mark.parametrize("kind", ["blocks", "data"])
def test_a_changed_bit_is_found(dataset, kind):
    for path in sorted((dataset / kind).iterdir()):
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(odf_check.Invalid, match="other bytes than its name says"):
            odf_check.validate(dataset)
        path.write_bytes(content)


def test_a_missing_file_is_found(dataset):
    for path in [*sorted((dataset / "data").iterdir()), *sorted((dataset / "blocks").iterdir())]:
        aside = path.rename(dataset / "aside")
        with pytest.raises(odf_check.Invalid, match="is missing"):
            odf_check.validate(dataset)
        aside.rename(path)


def test_a_head_with_a_newline_is_found(dataset):
    head = dataset / "refs" / "head"
    head.write_text(head.read_text() + "\n")
    with pytest.raises(odf_check.Invalid, match="exactly one block name"):
        odf_check.validate(dataset)


def test_a_block_that_ends_early_is_malformed():
    content = struct.pack("<I", 1_000_000)
    with pytest.raises(odf_check.Invalid, match="malformed"):
        odf_check.read_block(odf_check.name_of(content), content)
