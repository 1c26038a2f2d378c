"""Values that only SQL knows, JSON and geometries, as clients get them."""

import polars as pl
import pyarrow as pa

STATEMENT = """
SELECT '{"a": [1, "x"]}'->'a' AS json, st_point(1.0, 2.0) AS geometry, st_geomfromtext(NULL::varchar) AS nothing,
  sha3_256('abc') AS digest
"""

POINT = bytes.fromhex("0101000000000000000000f03f0000000000000040")


def test_json_is_text_and_geometries_are_marked_bytes(cursor):
    cursor.execute(STATEMENT)
    table = cursor.fetch_arrow_table()
    assert table.schema.field("json").type == pa.string()
    geometry = table.schema.field("geometry")
    assert geometry.type == pa.binary()
    assert geometry.metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"
    row = table.to_pylist()[0]
    assert (row["json"], row["geometry"], row["nothing"]) == ('[1, "x"]', POINT, None)
    assert row["digest"].hex() == "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"


def test_clients_that_do_not_know_the_mark_read_bytes(cursor):
    cursor.execute(STATEMENT)
    table = cursor.fetch_arrow_table()
    assert table.to_pandas()["geometry"][0] == POINT
    assert pl.from_arrow(table.select(["json", "geometry"])).row(0) == ('[1, "x"]', POINT)
    cursor.execute(STATEMENT)
    assert cursor.fetchone()[1] == POINT


def test_geometries_go_into_datasets_and_come_back(cursor):
    cursor.execute("CREATE TABLE function_points AS SELECT st_point(1.0, 2.0) AS place")
    cursor.execute("SELECT st_x(st_geomfromwkb(place)), place FROM function_points")
    assert cursor.fetchall() == [(1.0, POINT)]
