//! From manifests to events.

use super::dsl::{id, parse, shaped_sql, state_of};
use crate::chain::normalize_definition;
use crate::metadata::{DatasetKind, MetadataEvent, SetTransform, Transform, TransformInput};

fn normalized(events: &[&str], kind: DatasetKind) -> Result<Vec<MetadataEvent>, (Option<&'static str>, String)> {
    let state = state_of("root");
    let events = events.iter().map(|event| parse(&state, event)).collect();
    normalize_definition(events, kind).map_err(|error| (error.rule(), error.to_string()))
}

#[test]
fn events_that_define_a_dataset_keep_their_order() {
    use DatasetKind::{Derivative, Root};
    let state = state_of("root");
    let allowed: [(DatasetKind, &[&str]); 3] = [
        (
            Root,
            &[
                "vocab o",
                "info x",
                "license",
                "attach y",
                "schema",
                "push x",
                "push y sql=last",
            ],
        ),
        (Root, &["poll", "info x"]),
        (Derivative, &["transform A B", "info x"]),
    ];
    for (kind, events) in allowed {
        let expected: Vec<_> = events.iter().map(|event| parse(&state, event)).collect();
        assert_eq!(normalized(events, kind).unwrap(), expected);
    }
}

#[test]
fn events_that_do_not_define_a_dataset_are_refused() {
    use DatasetKind::{Derivative, Root};
    #[rustfmt::skip]
    let cases = [
        (Root, "seed", "S9"),
        (Root, "add wm=1", "S9"),
        (Derivative, "run A=h1/2 wm=1", "S9"),
        (Root, "disable-push", "S9"),
        (Root, "disable-poll", "S9"),
        (Root, "transform A", "K1"),
        (Derivative, "push x", "K1"),
        (Derivative, "poll", "K1"),
        (Derivative, "query both", "T6"),
        (Derivative, "query neither", "T6"),
        (Derivative, "query empty", "T6"),
        (Derivative, "query unnamed", "T6"),
        (Derivative, "query named", "T6"),
        (Root, "push x sql=both", "T6"),
        (Root, "poll files sql=unnamed", "T6"),
        (Root, "push x ddl=1 columns=n:i64", "S5"),
        (Root, "poll files ddl=1 columns=n:i64", "S5"),
    ];
    for (kind, event, rule) in cases {
        let (broken, message) = normalized(&["info x", event], kind).unwrap_err();
        assert_eq!(broken, Some(rule), "{event}: {message}");
        assert!(message.contains("event: 1"), "{message}");
    }
}

#[test]
fn the_short_form_of_sql_becomes_its_only_step() {
    let state = state_of("root");
    for (short, long, kind) in [
        ("push x sql=short", "push x sql=last", DatasetKind::Root),
        ("poll files sql=short", "poll files sql=last", DatasetKind::Root),
        ("query short", "query last", DatasetKind::Derivative),
    ] {
        assert_eq!(normalized(&[short], kind).unwrap(), [parse(&state, long)]);
    }
}

#[test]
fn inputs_without_an_alias_are_called_as_they_are_referred_to() {
    let input = |dataset_ref: &str, alias: Option<&str>| TransformInput {
        dataset_ref: dataset_ref.to_owned(),
        alias: alias.map(str::to_owned),
    };
    let did = id("A").to_string();
    let set = |inputs: Vec<TransformInput>, transform: Transform| {
        MetadataEvent::SetTransform(SetTransform { inputs, transform })
    };
    let given = vec![
        input("alice/trades", None),
        input("bob/rates", Some("rates")),
        input(&did, None),
    ];
    let expected = vec![
        input("alice/trades", Some("alice/trades")),
        input("bob/rates", Some("rates")),
        input(&did, Some(&did)),
    ];
    let found = normalize_definition(vec![set(given, shaped_sql("short"))], DatasetKind::Derivative).unwrap();
    assert_eq!(found, [set(expected, shaped_sql("last"))]);
}
