use super::*;

fn derivative(name: &str, inputs: &[&str]) -> String {
    let list: String = inputs
        .iter()
        .map(|input| format!("      - datasetRef: {input}\n        alias: {input}\n"))
        .collect();
    format!(
        "---\nkind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Derivative\n  metadata:\n  - kind: SetTransform\n    inputs:\n{list}    transform:\n      kind: Sql\n      engine: datafusion\n      queries:\n      - alias: few\n        query: SELECT * FROM \"{}\" LIMIT 3\n      - query: SELECT 1 FROM few\n",
        inputs[0]
    )
}

#[test]
fn schemas_are_shown_in_five_languages() {
    let datasets = fixtures().join("datasets");
    let schema = |output: &str| {
        succeed(&mut on(
            &datasets,
            &["inspect", "schema", "weather.vocab", "--output", output],
        ))
    };
    assert!(schema("yaml").contains("- name: day\n  type:\n    kind: "));
    let json: Value = serde_json::from_str(&schema("json")).unwrap();
    assert_eq!(json["fields"][0]["name"], "offset");
    assert!(
        schema("ddl").contains("offset      BIGINT NOT NULL,\n"),
        "{}",
        schema("ddl")
    );
    let arrow: Value = serde_json::from_str(&schema("arrow-json")).unwrap();
    assert_eq!(
        arrow["fields"][3]["type"],
        serde_json::json!({ "name": "date", "unit": "DAY" })
    );
    let parquet = schema("parquet");
    assert!(
        parquet.contains("INT64 offset;") && parquet.contains("INT32 day (DATE)"),
        "{parquet}"
    );
}

#[test]
fn lineage_and_queries_are_shown() {
    let copied = Copied::new();
    let manifests = copied.path().join("derived.yaml");
    let text = derivative("top", &["middle", "bank.transactions"]) + &derivative("middle", &["bank.transactions"]);
    std::fs::write(&manifests, text).unwrap();
    succeed(&mut copied.jetway(&["add", manifests.to_str().unwrap()]));
    let tree = succeed(&mut copied.jetway(&["inspect", "lineage", "top"]));
    assert_eq!(
        tree,
        "\
admin/top (derivative)
├── admin/middle (derivative)
│   └── admin/bank.transactions (root)
└── admin/bank.transactions (root)
"
    );
    let json = copied.json(&["inspect", "lineage", "top"]);
    assert_eq!(json["datasets"].as_array().unwrap().len(), 3);
    assert_eq!(json["datasets"][0]["inputs"][1]["alias"], "bank.transactions");
    let dot = succeed(&mut copied.jetway(&["inspect", "lineage", "top", "--output", "dot"]));
    assert!(dot.starts_with("digraph") && dot.matches(" -> ").count() == 3, "{dot}");

    let query = succeed(&mut copied.jetway(&["inspect", "query", "middle"]));
    assert!(
        query.contains("-- step: few\nSELECT * FROM \"bank.transactions\" LIMIT 3;\nSELECT 1 FROM few;"),
        "{query}"
    );
    let root = fail(&mut copied.jetway(&["inspect", "query", "bank.transactions"]));
    assert!(root.contains("no query"), "{root}");

    succeed(&mut copied.jetway(&["delete", "bank.transactions", "--force", "--yes"]));
    let tree = succeed(&mut copied.jetway(&["inspect", "lineage", "middle"]));
    assert!(tree.contains("(not here) as bank.transactions"), "{tree}");
}

#[test]
fn what_is_derived_can_be_made_anew() {
    let copied = Copied::new();
    let cache = copied.folder("sensors.readings").join("cache");
    std::fs::create_dir_all(cache.join("keys")).unwrap();
    std::fs::write(cache.join("keys/rubbish"), b"rubbish").unwrap();
    let outcome = copied.json(&["reindex", "sensors.*"]);
    assert_eq!(
        (&outcome[0]["removedFiles"], &outcome[0]["slices"]),
        (&Value::from(1), &Value::from(4))
    );
    assert!(!cache.join("keys/rubbish").exists());
    assert_eq!(copied.json(&["reindex"]).as_array().unwrap().len(), 7);
}
