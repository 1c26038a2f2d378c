use std::collections::BTreeMap;

use super::{render, render_hidden};

fn variables() -> BTreeMap<String, String> {
    BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())])
}

#[test]
fn alternatives_are_tried_from_left_to_right() {
    for (text, expected) in [
        ("plain", "plain"),
        ("a ${{ env.TOKEN }} b", "a s3cret b"),
        ("${{env.NONE || env.TOKEN || 'x'}}", "s3cret"),
        ("${{ env.NONE || 'default' }}/${{ env.NONE || 12 }}", "default/12"),
    ] {
        assert_eq!(render(text, &variables()).unwrap(), expected);
    }
}

#[test]
fn what_is_shown_hides_values() {
    assert_eq!(render_hidden("k=${{ env.TOKEN }}", &variables()).unwrap(), "k=***");
}

#[test]
fn unknown_names_and_broken_templates_are_errors() {
    let error = render("${{ env.NONE || env.OTHER }}", &variables())
        .unwrap_err()
        .to_string();
    assert!(error.contains("NONE, OTHER"), "{error}");
    assert!(render("${{ env.TOKEN", &variables()).is_err());
    assert!(render("${{ secrets }}", &variables()).is_err());
}
