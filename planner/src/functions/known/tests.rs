//! The table of docs/functions.md, and that nothing is called which is not in it.

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::Documentation;

use super::{AGGREGATE, SCALAR, Section, TABLE, WINDOW, set_up};

/// Functions of the engine that are kept out, by decision.
const REFUSED: [&str; 3] = ["file_row_index", "input_file_name", "version"];

/// Set to write the table instead of comparing it.
const WRITE: &str = "JETWAY_WRITE_DOCS";

fn engine() -> SessionState {
    SessionStateBuilder::new().with_default_features().build()
}

#[test]
fn every_function_of_the_engine_is_decided_on() {
    let all = engine();
    let known = set_up(engine()).unwrap();
    let mut names: Vec<&str> = Vec::new();
    names.extend(all.scalar_functions().values().map(|function| function.name()));
    names.retain(|name| Section::of(name).is_none() && !REFUSED.contains(name));
    names.extend(
        all.aggregate_functions()
            .values()
            .map(|f| f.name())
            .filter(|name| !AGGREGATE.contains(name)),
    );
    names.extend(
        all.window_functions()
            .values()
            .map(|f| f.name())
            .filter(|name| !WINDOW.contains(name)),
    );
    names.extend(
        all.table_functions()
            .keys()
            .map(String::as_str)
            .filter(|name| !TABLE.contains(name)),
    );
    names.sort_unstable();
    names.dedup();
    assert!(names.is_empty(), "neither allowed nor refused: {names:?}");
    for refused in REFUSED {
        assert!(all.scalar_functions().contains_key(refused), "{refused} is gone");
        assert!(!known.scalar_functions().contains_key(refused), "{refused}");
    }
    let missing = |names: &[&'static str], has: &dyn Fn(&str) -> bool| {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !has(name)).collect();
        assert!(missing.is_empty(), "allowed, but not there: {missing:?}");
    };
    for (_, names) in SCALAR {
        missing(names, &|name| known.scalar_functions().contains_key(name));
    }
    missing(AGGREGATE, &|name| known.aggregate_functions().contains_key(name));
    missing(WINDOW, &|name| known.window_functions().contains_key(name));
    assert!(known.higher_order_functions().is_empty());
}

#[test]
fn the_table_of_functions_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- functions -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of functions -->").unwrap();
    let wanted = format!(
        "{before}<!-- functions -->\n{}<!-- end of functions -->{after}",
        table()
    );
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert_eq!(text, wanted, "run this test with {WRITE}=1");
}

fn table() -> String {
    let session = set_up(engine()).unwrap();
    let mut text = String::new();
    let mut add = |title: &str, rows: BTreeMap<String, String>| {
        text.push_str(&format!("\n### {title}\n\n| function | |\n|---|---|\n"));
        text.extend(rows.into_values());
    };
    for (section, names) in SCALAR {
        let rows = names.iter().map(|name| {
            let function = &session.scalar_functions()[*name];
            (
                name.to_string(),
                row(name, function.aliases(), function.documentation()),
            )
        });
        add(title(section), rows.collect());
    }
    let rows = AGGREGATE.iter().map(|name| {
        let function = &session.aggregate_functions()[*name];
        (
            name.to_string(),
            row(name, function.aliases(), function.documentation()),
        )
    });
    add("Aggregates", rows.collect());
    let rows = WINDOW.iter().map(|name| {
        let function = &session.window_functions()[*name];
        (
            name.to_string(),
            row(name, function.aliases(), function.documentation()),
        )
    });
    add("Windows", rows.collect());
    text.push('\n');
    text
}

fn title(section: Section) -> &'static str {
    match section {
        Section::Numeric => "Numbers",
        Section::Text => "Texts and bytes",
        Section::Regex => "Regular expressions",
        Section::Hash => "Hashes",
        Section::Time => "Dates and times",
        Section::Condition => "Conditions",
        Section::Json => "JSON",
        Section::Geometry => "Geometries",
        Section::Nested => "Lists, structs and maps",
        Section::Type => "Types",
    }
}

/// Call, other names and first sentence.
fn row(name: &str, aliases: &[String], documentation: Option<&Documentation>) -> String {
    let call = documentation
        .map_or("", |text| text.syntax_example.as_str())
        .replace(['\n', '|'], " ");
    let call = if call.to_lowercase().contains(name) {
        call
    } else {
        format!("{name}(...)")
    };
    let says = documentation.map_or("", |text| text.description.as_str()).trim();
    let first = says
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|");
    let first = match first.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => first,
    };
    let mut aliases: Vec<&str> = aliases
        .iter()
        .map(String::as_str)
        .filter(|alias| *alias != name)
        .collect();
    aliases.sort_unstable();
    let also = match aliases.as_slice() {
        [] => String::new(),
        names => format!(" Also `{}`.", names.join("`, `")),
    };
    format!("| `{}` | {}{also} |\n", call.trim(), first.trim())
}
