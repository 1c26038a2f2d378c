//! `jetway ingest`, and what is there afterwards.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use crate::harness::{NodeProcess, fail, succeed};

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn write_parquet(dir: &Path, name: &str, ids: std::ops::Range<i64>) -> String {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]));
    let names: Vec<String> = ids.clone().map(|id| format!("name {id}")).collect();
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids)),
        Arc::new(StringArray::from(names)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let path = dir.join(name);
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn files_of_every_format_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(&dir.path().join("node"));
    let csv = write(dir.path(), "a.csv", "id,name\n1,one\n2,\n");
    let ndjson = write(
        dir.path(),
        "a.ndjson",
        "{\"id\":1,\"name\":\"one\"}\n{\"id\":2,\"name\":null}\n",
    );
    let json = write(
        dir.path(),
        "a.json",
        "[{\"id\":1,\"name\":\"one\"},\n {\"id\":2,\"name\":null}]",
    );
    let geojson = write(
        dir.path(),
        "a.geojson",
        r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":1},"geometry":{"type":"Point","coordinates":[1,2]}}]}"#,
    );
    let parquet = write_parquet(dir.path(), "a.parquet", 0..20_000);
    for (file, dataset) in [
        (&csv, "from-csv"),
        (&json, "from.json"),
        (&geojson, "from.geojson"),
        (&ndjson, "admin/from-ndjson"),
        (&parquet, "from.parquet"),
    ] {
        succeed(&mut node.client(&["ingest", file, "--dataset", dataset]));
    }
    assert_eq!(
        node.sql("SELECT id, name FROM from_csv ORDER BY id"),
        "id,name\n1,one\n2,\n"
    );
    assert_eq!(
        node.sql("SELECT id, name FROM \"from.json\" ORDER BY id"),
        "id,name\n1,one\n2,\n"
    );
    assert_eq!(
        node.sql("SELECT id, geometry LIKE '%Point%' AS point FROM \"from.geojson\""),
        "id,point\n1,true\n"
    );
    assert_eq!(
        node.sql("SELECT id, name FROM admin.from_ndjson ORDER BY id"),
        "id,name\n1,one\n2,\n"
    );
    assert_eq!(
        node.sql("SELECT count(*) AS n, sum(id) AS total, min(name) AS first FROM \"from.parquet\""),
        "n,total,first\n20000,199990000,name 0\n"
    );
}

#[test]
fn several_files_go_in_together_and_more_can_be_added() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(&dir.path().join("node"));
    let first = write_parquet(dir.path(), "1.parquet", 0..10);
    let second = write_parquet(dir.path(), "2.parquet", 10..30);
    let missing = fail(&mut node.client(&["ingest", &first, "--dataset", "all", "--append"]));
    assert!(missing.contains("all"), "{missing}");
    succeed(&mut node.client(&["ingest", &first, &second, "--dataset", "all", "--create"]));
    let taken = fail(&mut node.client(&["ingest", &first, "--dataset", "ALL", "--create"]));
    assert!(taken.contains("already"), "{taken}");
    succeed(&mut node.client(&["ingest", &first, "--dataset", "all", "--append"]));
    assert_eq!(
        node.sql("SELECT count(*) AS n, max(id) AS last FROM \"all\""),
        "n,last\n40,29\n"
    );
}

#[test]
fn a_file_that_breaks_off_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(&dir.path().join("node"));
    let good = write(dir.path(), "good.csv", "id\n1\n");
    succeed(&mut node.client(&["ingest", &good, "--dataset", "numbers"]));
    let mut text = String::from("id\n");
    for id in 0..50_000 {
        text.push_str(&format!("{id}\n"));
    }
    text.push_str("not a number\n");
    let broken = write(dir.path(), "broken.csv", &text);
    let message = fail(&mut node.client(&["ingest", &broken, "--dataset", "numbers"]));
    assert!(
        message.contains("nothing was added") && message.contains("--infer-rows"),
        "{message}"
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(node.sql("SELECT count(*) AS n FROM numbers"), "n\n1\n");
}

#[test]
fn acknowledged_rows_survive_a_killed_node() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("node");
    let node = NodeProcess::start(&data_dir);
    let file = write(dir.path(), "a.csv", "id\n1\n2\n");
    succeed(&mut node.client(&["ingest", &file, "--dataset", "numbers"]));
    node.signal("-KILL");
    assert!(!node.wait().status.success());
    let node = NodeProcess::start(&data_dir);
    assert_eq!(node.sql("SELECT count(*) AS n FROM numbers"), "n\n2\n");
}
