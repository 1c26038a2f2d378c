use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::json;
use shapefile::{Point, Polygon, PolygonRing};

use super::{arriving, assert_says, at_rest, error, rows, step, table, try_table};
use crate::read::{Format, ReadOptions, read, read_as};

const FEATURE: &str = r#"{"type":"Feature","id":7,"geometry":{"type":"Point","coordinates":[1.50,-2]},"properties":{"name":"a \"b\"","n":1}}"#;
const EMPTY: &str = r#"{"properties":null,"type":"Feature","geometry":null}"#;

#[tokio::test]
async fn features_are_rows_of_their_properties_and_their_geometry() {
    let columns = json!(["name TEXT", "n INT", "geometry TEXT"]);
    let expected = ["a \"b\"|1|{\"type\":\"Point\",\"coordinates\":[1.50,-2]}", "∅|∅|∅"];
    let collection = format!(r#"{{"type":"FeatureCollection","name":"x","features":[{FEATURE},{EMPTY}]}}"#);
    assert_eq!(
        rows(json!({ "kind": "GeoJson", "ddlSchema": columns }), collection.clone()).await,
        expected
    );
    let lines = format!("{FEATURE}\n{EMPTY}\n");
    assert_eq!(
        rows(json!({ "kind": "NdGeoJson", "ddlSchema": columns }), lines.clone()).await,
        expected
    );

    let inferred = try_table(json!({ "kind": "GeoJson" }), collection).await.unwrap();
    assert_eq!(inferred.columns.len(), 3);
    assert!(
        inferred.columns.contains(&"geometry Utf8".to_owned()),
        "{:?}",
        inferred.columns
    );
    assert!(inferred.columns.contains(&"n Int64".to_owned()));
}

#[tokio::test]
async fn what_is_not_a_feature_is_told_with_its_line() {
    let lines = json!({ "kind": "NdGeoJson", "ddlSchema": ["n INT", "geometry TEXT"] });
    let cases = [
        (r#"{"type":"Point","coordinates":[1,2]}"#, "not a GeoJSON feature"),
        (r#"{"type":"Feature","properties":[]}"#, "not an object"),
        (r#"{"type":"Feature","properties":{"geometry":1}}"#, "called geometry"),
        (
            r#"{"type":"Feature","properties":{"n":"x"}}"#,
            "'x' cannot be read as Int32",
        ),
        (r#"{"type":"Feature","properties":{"n":1}"#, "not valid JSON"),
    ];
    for (text, part) in cases {
        assert_says(
            &error(lines.clone(), format!("{EMPTY}\n{text}\n")).await,
            &[part, "line: 2"],
        );
    }
    assert_says(&error(json!({ "kind": "GeoJson" }), FEATURE).await, &["path: features"]);
}

/// Writes a shapefile with two squares, one with a hole.
fn write_shapefile(path: &Path) {
    let square = |at: f64, size: f64| {
        let corners = [
            (at, at),
            (at, at + size),
            (at + size, at + size),
            (at + size, at),
            (at, at),
        ];
        corners.map(|(x, y)| Point::new(x, y)).to_vec()
    };
    let mut hole = square(1.0, 1.0);
    hole.reverse();
    let shapes = [
        Polygon::with_rings(vec![PolygonRing::Outer(square(0.0, 10.0)), PolygonRing::Inner(hole)]),
        Polygon::new(PolygonRing::Outer(square(20.5, 1.0))),
        Polygon::new(PolygonRing::Outer(square(30.0, 1.0))),
    ];
    let mut writer = shapefile::ShapeWriter::from_path(path).unwrap();
    for shape in &shapes {
        writer.write_shape(shape).unwrap();
    }
    drop(writer);
    fs::write(path.with_extension("dbf"), attributes()).unwrap();
}

/// A dBase table written by hand: name, whole number, exact number, day, flag.
fn attributes() -> Vec<u8> {
    let columns: [(&str, u8, u8, u8); 5] = [
        ("name", b'C', 10, 0),
        ("id", b'N', 9, 0),
        ("price", b'N', 24, 4),
        ("day", b'D', 8, 0),
        ("ok", b'L', 1, 0),
    ];
    let record: u16 = 1 + columns.iter().map(|(_, _, length, _)| u16::from(*length)).sum::<u16>();
    let mut table = vec![3, 124, 1, 1];
    table.extend(3_u32.to_le_bytes());
    table.extend((32 + 32 * 5 + 1_u16).to_le_bytes());
    table.extend(record.to_le_bytes());
    table.resize(32, 0);
    for (name, kind, length, decimals) in columns {
        let mut column = [0; 32];
        column[..name.len()].copy_from_slice(name.as_bytes());
        (column[11], column[16], column[17]) = (kind, length, decimals);
        table.extend(column);
    }
    table.push(0x0d);
    for (deleted, name, id, price, day, ok) in [
        (
            b' ',
            b"caf\xe9      ",
            "        1",
            "12345678901234567.1234",
            "20240229",
            b'T',
        ),
        (b'*', b"gone      ", "        2", "1", "20240101", b'F'),
        (
            b' ',
            b"          ",
            "         ",
            "************************",
            "        ",
            b'?',
        ),
    ] {
        table.push(deleted);
        table.extend(name);
        table.extend(id.bytes());
        table.extend(format!("{price:>24}").bytes());
        table.extend(day.bytes());
        table.push(ok);
    }
    table.push(0x1a);
    table
}

const SHAPES: [&str; 2] = [
    "café|1|12345678901234567.1234|2024-02-29|true|{\"type\":\"Polygon\",\"coordinates\":[[[0.0,0.0],[0.0,10.0],[10.0,10.0],[10.0,0.0],[0.0,0.0]],\
     [[1.0,1.0],[2.0,1.0],[2.0,2.0],[1.0,2.0],[1.0,1.0]]]}",
    "∅|∅|∅|∅|∅|{\"type\":\"Polygon\",\"coordinates\":[[[30.0,30.0],[30.0,31.0],[31.0,31.0],[31.0,30.0],[30.0,30.0]]]}",
];

fn zipped(folder: &Path, prefix: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for extension in ["shp", "dbf"] {
        archive
            .start_file(
                format!("{prefix}.{extension}"),
                zip::write::SimpleFileOptions::default(),
            )
            .unwrap();
        archive
            .write_all(&fs::read(folder.join(format!("places.{extension}"))).unwrap())
            .unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn shapefiles_in_archives_folders_and_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = folder.path().join("places.shp");
    write_shapefile(&shapes);
    let options = ReadOptions::default();
    for input in [
        at_rest(folder.path()),
        at_rest(&shapes),
        arriving(zipped(folder.path(), "deep/places")),
    ] {
        let rows = read_as(Format::Shapefile, None, input, &options).await.unwrap();
        let table = table(rows).await.unwrap();
        assert_eq!(
            table.columns,
            [
                "name Utf8",
                "id Int64",
                "price Decimal128(24, 4)",
                "day Date32",
                "ok Boolean",
                "geometry Utf8"
            ]
        );
        assert_eq!(table.rows, SHAPES);
    }
    let declared = step(json!({ "kind": "EsriShapefile", "subPath": "places.shp",
        "ddlSchema": ["geometry TEXT", "name STRING", "price DECIMAL(30,6)", "absent INT"] }));
    let rows = read(&declared, arriving(zipped(folder.path(), "deep/places")), &options)
        .await
        .unwrap();
    let first = table(rows).await.unwrap().rows.remove(0);
    assert!(first.ends_with("}|café|12345678901234567.123400|∅"), "{first}");
}

#[tokio::test]
async fn shapefiles_that_are_not_whole() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = folder.path().join("places.shp");
    write_shapefile(&shapes);
    let fail = async |definition| {
        let opened = read(&step(definition), at_rest(folder.path()), &ReadOptions::default()).await;
        match opened {
            Ok(rows) => table(rows).await.unwrap_err(),
            Err(error) => error,
        }
    };
    let any = || json!({ "kind": "EsriShapefile" });
    assert_says(
        &fail(json!({ "kind": "EsriShapefile", "subPath": "other.shp" })).await,
        &["shapefiles: places.shp"],
    );
    assert_says(
        &fail(json!({ "kind": "EsriShapefile", "ddlSchema": ["absent INT NOT NULL"] })).await,
        &["column: absent"],
    );
    assert_says(
        &fail(json!({ "kind": "EsriShapefile", "ddlSchema": ["name INT"] })).await,
        &["'café'", "record: 1"],
    );
    fs::write(folder.path().join("places.cpg"), "UTF-8").unwrap();
    assert_says(&fail(any()).await, &["code page", "column: name", "record: 1"]);
    fs::write(folder.path().join("places.cpg"), "ISO 88591").unwrap();
    let whole = fs::read(&shapes).unwrap();
    fs::write(&shapes, &whole[..whole.len() - 10]).unwrap();
    assert_says(&fail(any()).await, &["cut off", "record: 3"]);
    fs::write(&shapes, &whole[..whole.len() - 136]).unwrap();
    assert_says(&fail(any()).await, &["not equally many"]);
    fs::remove_file(folder.path().join("places.dbf")).unwrap();
    assert_says(
        &fail(any()).await,
        &["a part of the shapefile is missing", "extension: dbf"],
    );
    let text = read_as(Format::Shapefile, None, arriving("no shapes"), &ReadOptions::default()).await;
    assert_says(&text.unwrap_err(), &["a shapefile is expected"]);
}
