//! Orders of creation.

use crate::manifest::{DatasetSnapshot, Manifest, dependency_order, read_manifests};

/// Snapshots from `name < input input` lines.
fn snapshots(lines: &str) -> Vec<Manifest> {
    let mut text = String::new();
    for line in lines.split(',').map(str::trim) {
        let (name, inputs) = line.split_once('<').unwrap_or((line, ""));
        let inputs: Vec<String> = inputs
            .split_whitespace()
            .map(|input| format!("{{datasetRef: '{input}'}}"))
            .collect();
        let (kind, metadata) = match inputs.as_slice() {
            [] => ("Root", String::new()),
            inputs => (
                "Derivative",
                format!(
                    "{{kind: SetTransform, inputs: [{}], transform: {{kind: Sql, engine: e, query: q}}}}",
                    inputs.join(", ")
                ),
            ),
        };
        text.push_str(&format!(
            "---\nkind: DatasetSnapshot\nversion: 1\ncontent: {{name: {name}, kind: {kind}, metadata: [{metadata}]}}\n"
        ));
    }
    read_manifests(&text).unwrap()
}

fn order(lines: &str, account: Option<&str>) -> Result<String, String> {
    let manifests = snapshots(lines);
    let snapshots: Vec<&DatasetSnapshot> = manifests.iter().filter_map(Manifest::as_snapshot).collect();
    let account = account.map(|name| name.parse().unwrap());
    let order = dependency_order(&snapshots, account.as_ref()).map_err(|error| error.to_string())?;
    let names: Vec<String> = order
        .iter()
        .map(|position| snapshots[*position].name.to_string())
        .collect();
    Ok(names.join(" "))
}

#[test]
fn inputs_come_first_and_the_rest_stays() {
    for (lines, expected) in [
        ("c, a, b", "c a b"),
        ("c < b, b < a, a", "a b c"),
        ("d < b c, c < a, b < a, a, e", "a b c d e"),
        (
            "b < elsewhere did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4, a",
            "b a",
        ),
        ("b < A, a", "a b"),
        ("b < alice/a, a", "b a"),
        ("a, alice/a", "a alice/a"),
    ] {
        assert_eq!(order(lines, None).unwrap(), expected, "{lines}");
    }
    assert_eq!(order("b < alice/a, a", Some("alice")).unwrap(), "a b");
    assert_eq!(order("b < alice/a, bob/a", Some("bob")).unwrap(), "b bob/a");
}

#[test]
fn circles_are_named() {
    let circle = |names: &str| {
        Err(format!(
            "datasets cannot be computed from each other in a circle: {names} (each is an input of the one before it)"
        ))
    };
    assert_eq!(order("x < a, a < b, b < c, c < a", None), circle("a <- b <- c <- a"));
    assert_eq!(order("a < a", None), circle("a <- a"));
    assert_eq!(order("a < bob/a, bob/a < a", None), circle("a <- bob/a <- a"));
}

#[test]
fn names_must_differ() {
    let error = "two snapshots have the same name; rename or remove one (dataset: A)";
    assert_eq!(order("a, A", None), Err(error.to_owned()));
    assert_eq!(
        order("a, alice/A", Some("alice")).unwrap_err(),
        error.replace(": A", ": alice/A")
    );
}

#[test]
fn long_lines_of_datasets_are_ordered() {
    let lines: Vec<String> = (0..3_000).map(|index| format!("d{index} < d{}", index + 1)).collect();
    let order = order(&lines.join(","), None).unwrap();
    assert!(order.starts_with("d2999 d2998 ") && order.ends_with(" d1 d0"));
}
