use super::{LONGEST, check, check_text};
use std::path::Path;

#[test]
fn the_repository_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let findings = check(root).unwrap();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn a_breach_is_reported_where_it_is() {
    let forbidden = ["todo", "!("].concat();
    let findings = check_text("odf/src/a.rs", &format!("let a = 1;\n{forbidden})"));
    assert_eq!(findings, [format!("odf/src/a.rs:2: `{forbidden}` (unfinished work)")]);
}

#[test]
fn a_rule_for_one_language_leaves_the_others_alone() {
    let text = ["a ", "todo", "!() in prose"].concat();
    assert!(check_text("README.md", &text).is_empty());
}

#[test]
fn a_path_of_one_machine_is_found_but_not_inside_another_path() {
    let path = ["/ro", "ot/data"].concat();
    assert_eq!(check_text("a.md", &format!("see {path}")).len(), 1);
    assert!(check_text("a.md", &format!("see bucket{path}")).is_empty());
}

#[test]
fn a_file_that_is_too_long_is_reported_once() {
    assert_eq!(check_text("a.rs", &"\n".repeat(LONGEST + 1)).len(), 1);
    assert!(check_text("a.md", &"\n".repeat(LONGEST + 1)).is_empty());
}
