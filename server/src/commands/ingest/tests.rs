use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use futures::TryStreamExt;
use indicatif::ProgressBar;

use super::*;

/// Writes files, opens them together and reads them to the end.
fn read(files: &[(&str, &str)], infer_rows: usize) -> Result<Vec<RecordBatch>> {
    let dir = tempfile::tempdir()?;
    let mut paths = Vec::new();
    for (name, text) in files {
        paths.push(dir.path().join(name));
        std::fs::write(dir.path().join(name), text)?;
    }
    read_paths(paths, infer_rows)
}

fn read_paths(paths: Vec<PathBuf>, infer_rows: usize) -> Result<Vec<RecordBatch>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let source = Source::open(paths, infer_rows).await?;
        source.rows(ProgressBar::hidden()).try_collect().await
    })
}

fn shown(files: &[(&str, &str)]) -> String {
    pretty_format_batches(&read(files, 0).unwrap()).unwrap().to_string()
}

fn failure(files: &[(&str, &str)], infer_rows: usize) -> String {
    format!("{:#}", read(files, infer_rows).unwrap_err())
}

#[test]
fn types_widen_over_all_files() {
    let table = shown(&[
        ("a.csv", "id,price,note\n1,2,\n"),
        ("b.csv", "id,price,note\n3,4.5,x\n"),
    ]);
    assert_eq!(
        table,
        "+----+-------+------+\n\
         | id | price | note |\n\
         +----+-------+------+\n\
         | 1  | 2.0   |      |\n\
         | 3  | 4.5   | x    |\n\
         +----+-------+------+"
    );
}

#[test]
fn objects_have_the_columns_of_all_files_and_a_column_without_values_is_text() {
    let batches = read(
        &[
            ("a.ndjson", "{\"a\":1,\"b\":null}\n"),
            ("b.jsonl", "{\"c\":\"x\",\"a\":2.5}\n"),
        ],
        0,
    )
    .unwrap();
    let schema = batches[0].schema();
    let types: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    assert_eq!(types, ["a Float64", "b Utf8", "c Utf8"]);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

#[test]
fn columns_in_another_order_are_not_mixed_up() {
    let message = failure(&[("a.csv", "a,b\n1,2\n"), ("b.csv", "b,a\n1,2\n")], 0);
    assert!(
        message.contains("b.csv") && message.contains("other columns"),
        "{message}"
    );
}

#[test]
fn what_the_first_rows_did_not_show_is_an_error_with_a_way_out() {
    for files in [
        [("a.csv", "a\n1\nx\n")],
        [("a.ndjson", "{\"a\":1}\n{\"a\":2,\"b\":3}\n")],
    ] {
        let message = failure(&files, 1);
        assert!(message.contains("--infer-rows 0"), "{message}");
        read(&files, 0).unwrap();
    }
}

#[test]
fn files_of_unknown_or_different_formats_are_refused() {
    assert!(failure(&[("a.xlsx", "")], 0).contains(".parquet, .csv"));
    assert!(failure(&[("a.json", "{\"a\":1}\n{\"a\":2}\n")], 0).contains("NdJson"));
    assert!(failure(&[("a.json", "[]")], 0).contains("no columns"));
    assert!(failure(&[("a.csv", "a\n1\n"), ("b.ndjson", "{}\n")], 0).contains("different formats"));
    assert!(failure(&[("a.ndjson", "")], 0).contains("no columns"));
    assert!(read_paths(vec![PathBuf::from("no-such-file.csv")], 0).is_err());
}
