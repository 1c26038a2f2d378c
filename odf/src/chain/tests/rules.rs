//! Every rule, by chains that keep and chains that break it.

use chrono::{TimeDelta, Utc};

use super::dsl::{apply, day, hash, next_block, parse, seed, start, state_of};
use crate::chain::{ChainState, Rule, Strictness};
use crate::metadata::{MetadataBlock, MetadataEvent};

/// A chain, and what is said of its last event: `ok`, or the broken rule; after a slash, what is said on reading, if
/// that is something else. All events but the last are good.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    // Kinds of datasets
    ("root | transform A", "K1/ok"),
    ("root | transform A | run A=h1/- wm=1", "K1/ok"),
    ("derivative | push x", "K1/ok"),
    ("derivative | poll", "K1/ok"),
    ("derivative | add wm=1", "K1/ok"),
    // G1, G7
    ("root | seed", "G1"),
    ("root | push x | disable-push", "G7"),
    ("root | poll | disable-poll", "G7"),
    // D1: where slices start and end
    ("root | schema | add 0-9", "ok"),
    ("root | schema | add 0-0", "ok"),
    ("root | schema | add 0-9 | add 10-19", "ok"),
    ("root | schema | add 1-9", "D1"),
    ("root | schema | add 0-9 | add 11-19", "D1"),
    ("root | schema | add 0-9 | add 9-19", "D1"),
    ("root | schema | add 0-9 | add 0-19", "D1"),
    ("root | schema | add 0-9 | add 10-9", "D1"),
    ("root | schema | add 0-max", "ok"),
    ("root | schema | add 0-max | add max-max", "D1"),
    ("root | schema | add 0-max | add 0-1", "D1"),
    ("derivative | schema | transform A | run A=h1/4 1-4", "D1"),
    // D2: the previous offset
    ("root | schema | add 0-9 | add wm=1 | add 10-19 wm=1", "ok"),
    ("root | schema | add 0-9 | add prev=8 9-19", "D2"),
    ("root | schema | add 0-9 | add prev=none 0-19", "D2"),
    ("root | schema | add 0-9 | add prev=10 wm=1", "D2"),
    ("root | schema | add wm=1 | add prev=0 1-2 wm=1", "D2"),
    ("root | schema | add prev=4 5-9", "D2/ok"),
    ("derivative | schema | transform A | run A=h1/4 0-4 | run A=h2/9 prev=3 4-9", "D2"),
    // D3: the watermark
    ("root | schema | add 0-9 | add wm=1", "ok"),
    ("root | schema | add 0-9 wm=1 | add 10-19 wm=1", "ok"),
    ("root | schema | add 0-9 wm=1 | add 10-19 wm=2", "ok"),
    ("root | schema | add 0-9 wm=2 | add 10-19 wm=1", "D3"),
    ("root | schema | add 0-9 wm=2 | add 10-19", "D3"),
    ("root | schema | add 0-9 wm=2 | info x | add 10-19", "D3"),
    ("derivative | schema | transform A | run A=h1/4 0-4 wm=2 | run A=h2/9 5-9", "D3"),
    ("derivative | schema | transform A | run A=h1/4 0-4 wm=2 | run A=h2/9 5-9 wm=2", "ok"),
    // D4: nothing in it
    ("root | add", "D4"),
    ("root | add extra", "D4"),
    ("root | add wm=1", "ok"),
    ("root | add cp=a", "ok"),
    ("root | add state=x", "ok"),
    ("derivative | transform A | run A=h1/4", "D4"),
    ("derivative | transform A | run A=h1/4 cp=a", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1", "ok"),
    // D5: data without a schema
    ("root | add 0-9", "D5"),
    ("derivative | transform A | run A=h1/4 0-4", "D5"),
    // D6: the previous checkpoint
    ("root | schema | add 0-9 cp=a | add 10-19 cp=b", "ok"),
    ("root | schema | add 0-9 cp=a | add 10-19 cp=a", "ok"),
    ("root | schema | add 0-9 cp=a | add 10-19", "ok"),
    ("root | schema | add 0-9 cp=a | add 10-19 | add 20-29 prevcp=a cp=b", "D6"),
    ("root | schema | add 0-9 cp=a | add 10-19 prevcp=none cp=b", "D6"),
    ("root | schema | add 0-9 cp=a | add 10-19 prevcp=b cp=b", "D6"),
    ("root | schema | add 0-9 prevcp=a", "D6"),
    ("derivative | schema | transform A | run A=h1/4 0-4 cp=a | run A=h2/9 5-9 cp=b", "ok"),
    ("derivative | schema | transform A | run A=h1/4 0-4 cp=a | run A=h2/9 5-9 prevcp=none", "D6"),
    // D7: nothing new in it
    ("root | schema | add 0-9 wm=1 | add wm=1", "D7"),
    ("root | schema | add wm=1 cp=a | add wm=1 cp=a", "D7"),
    ("root | schema | add wm=1 cp=a | add wm=1 cp=b", "ok"),
    ("root | schema | add wm=1 cp=a | add wm=1", "ok"),
    ("root | schema | add wm=1 state=x | add wm=1 state=x", "D7"),
    ("root | schema | add wm=1 state=x | add wm=1 state=x extra", "D7"),
    ("root | schema | add wm=1 state=x | add wm=1 state=y", "ok"),
    ("root | schema | add wm=1 state=x | add wm=1", "ok"),
    ("root | schema | add wm=1 | add wm=2", "ok"),
    // T1: a transform
    ("derivative | schema | run A=h1/4 0-4", "T1"),
    ("derivative | schema | transform A | run A=h1/4 0-4", "ok"),
    // T2: the inputs are those of the transform
    ("derivative | transform A B | run A=h1/4 B=h1/4 wm=1", "ok"),
    ("derivative | transform A B | run B=h1/4 A=h1/4 wm=1", "T2"),
    ("derivative | transform A B | run A=h1/4 wm=1", "T2"),
    ("derivative | transform A | run A=h1/4 B=h1/4 wm=1", "T2"),
    ("derivative | transform A | run wm=1", "T2"),
    ("derivative | transform A | transform B | run A=h1/4 wm=1", "T2"),
    ("derivative | transform A | transform B | run B=h1/4 wm=1", "ok"),
    // T3: inputs continue where they stopped
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h2/9 wm=2", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h2/- wm=2", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h2/- wm=2 | run A<h2/4=h3/5 wm=2", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A wm=2 | run A<h1/4=h3/5 wm=2", "ok"),
    ("derivative | transform A | run A wm=1 | run A=h1/4 wm=1", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A<h0/4=h2/9 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A<-/4=h2/9 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A<h1/3=h2/9 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A<h1/-=h2/9 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h1/9 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h2/4 wm=2", "T3"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=-/9 wm=2", "T3"),
    ("derivative | transform A B | run A=h1/4 B=g1/0 wm=1 | run A=h2/9 B<g0/0 wm=2", "T3"),
    ("derivative | transform A | run A<h0/-=h1/4 wm=1", "T3/ok"),
    ("derivative | transform A | run A<-/3=h1/4 wm=1", "T3/ok"),
    ("derivative | transform A | run A=-/4 wm=1", "T3"),
    // T4: nothing new in it
    ("derivative | transform A | run A=h1/4 wm=1 | run A wm=1", "T4"),
    ("derivative | transform A | run A=h1/4 wm=1 cp=a | run A wm=1 cp=a", "T4"),
    ("derivative | transform A | run A=h1/4 wm=1 cp=a | run A wm=1 cp=b", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A=h2/- wm=1", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | run A wm=2", "ok"),
    // T5: inputs of a transform
    ("derivative | transform A B", "ok"),
    ("derivative | transform", "T5"),
    ("derivative | transform A A", "T5"),
    ("derivative | transform A B!", "T5"),
    ("derivative | transform A B~", "T5"),
    ("derivative | transform A | transform B", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | transform A", "ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | transform B", "T5/ok"),
    ("derivative | transform A | run A=h1/4 wm=1 | transform A B", "T5/ok"),
    // T6: shape of SQL
    ("derivative | query last", "ok"),
    ("derivative | query steps", "ok"),
    ("derivative | query short", "T6"),
    ("derivative | query both", "T6"),
    ("derivative | query neither", "T6"),
    ("derivative | query empty", "T6"),
    ("derivative | query named", "T6"),
    ("derivative | query unnamed", "T6"),
    ("root | push x sql=steps", "ok"),
    ("root | push x sql=short", "T6"),
    ("root | poll files sql=steps", "ok"),
    ("root | poll files sql=named", "T6"),
    // S5: one form of schema
    ("root | push x ddl=1", "ok"),
    ("root | push x columns=n:i64", "ok"),
    ("root | push x ddl=1 columns=n:i64", "S5"),
    ("root | poll files ddl=1 columns=n:i64", "S5"),
    // S6: the same source again
    ("root | push x | push y", "ok"),
    ("root | push x | push x sep=;", "ok"),
    ("root | push x | push x", "S6"),
    ("root | push x | push y | push x", "S6"),
    ("root | push x | push x sep=,", "S6"),
    ("root | push x header=0 | push x", "S6"),
    ("root | push x header=1 | push x", "ok"),
    ("root | push x | push x sep=; | push x", "ok"),
    ("root | push x columns=t:ts | push x columns=t:tsms", "S6"),
    ("root | push x columns=t:ts | push x columns=t:tsus", "ok"),
    ("root | push x columns=t:ts | push x", "ok"),
    // S7: push or polling
    ("root | poll | poll", "ok"),
    ("root | poll | push x", "S7"),
    ("root | push x | poll", "S7"),
    // S8: Ethereum logs
    ("root | poll logs", "S8"),
    ("root | poll chain", "ok"),
    ("root | poll node", "ok"),
    // S1: forms of the schema
    ("root | schema-none", "S1"),
    ("root | schema-both", "S1"),
    ("root | legacy city:str?", "S1/ok"),
    // S4: system columns
    ("root | schema only op:i32 system_time:ts event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 system_time:ts event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 op:i32 event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 op:i32 system_time:ts", "S4/ok"),
    ("root | schema only offset:u64 op:i32 system_time:ts event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 op:u8 system_time:ts event_time:ts", "S4/ok"),
    ("root | schema only offset:i64? op:i32? system_time:ts? event_time:ts?", "ok"),
    ("root | schema only offset:i64 op:str? system_time:ts event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 op:i32 system_time:date event_time:ts", "S4/ok"),
    ("root | schema only offset:i64 op:i32 system_time:ts event_time:str", "S4/ok"),
    ("root | schema only offset:i64 op:i32 system_time:ts event_time:date", "ok"),
    ("root | schema only offset:i64 op:i32 system_time:ts event_time:tsus", "ok"),
    ("root | schema only offset:i64 op:i32 system_time:ts event_time:ts?", "ok"),
    ("root | schema only n:i64 event_time:ts system_time:ts op:i32 offset:i64", "ok"),
    ("root | vocab o p s e | schema", "S4/ok"),
    ("root | vocab o p s e | schema only o:i64 p:i32 s:ts e:ts", "ok"),
    // S2: the same schema again
    ("root | schema n:i64 | schema n:i64", "S2"),
    ("root | schema t:ts | schema t:tsms", "S2"),
    // S3: how schemas evolve
    ("root | schema n:i64 | schema n:i64 m:i64?", "ok"),
    ("root | schema n:i64 m:str | schema m:str n:i64", "ok"),
    ("root | schema n:i64 | schema n:i64 m:i64", "S3"),
    ("root | schema n:i64 m:i64 | schema n:i64", "S3"),
    ("root | schema n:i64 | schema n:str", "S3"),
    ("root | schema n:i64 | schema n:i64?", "S3"),
    ("root | schema n:i64? | schema n:i64", "S3"),
    ("root | schema n:i64 | schema n:i64? m:i64?", "S3/ok"),
    ("root | schema n:i64 | schema n:str m:i64?", "S3/ok"),
    ("root | schema n:i64 m:i64 | schema m:str n:i64", "S3/ok"),
    ("root | schema n:i64 m:i64 | schema n:i64 l:i64?", "S3"),
    ("root | schema n:i64 | schema n:str m:i64", "S3"),
    ("root | legacy n:i64? | legacy n:str", "S1/ok"),
    ("root | legacy n:i64? | schema n:i64?", "S2/ok"),
    ("root | legacy n:i64? | schema n:i64", "ok"),
    ("root | legacy n:i64? | schema n:str", "S3"),
];

#[test]
fn rules_are_kept_and_broken() {
    for (chain, expected) in CASES {
        let (append, read) = expected.split_once('/').unwrap_or((expected, expected));
        check(chain, Strictness::Append, append);
        check(chain, Strictness::Read, read);
    }
}

fn check(chain: &str, strictness: Strictness, expected: &str) {
    let (mut state, mut events) = start(chain);
    let last = events.pop().unwrap();
    for event in events {
        // What comes before may need tolerance itself; it is not what the case is about.
        apply(&mut state, event, Strictness::Read).unwrap_or_else(|error| panic!("{chain}: {event}: {error}"));
    }
    let before = state.clone();
    match apply(&mut state, last, strictness) {
        Ok(()) => {
            assert_eq!("ok", expected, "{chain} ({strictness:?})");
            assert_eq!(state.counts().blocks, before.counts().blocks + 1);
        }
        Err(error) => {
            assert_eq!(error.rule(), Some(expected), "{chain} ({strictness:?}): {error}");
            assert_eq!(state, before, "{chain}: the state must not change on an error");
            assert!(!error.message().is_empty());
        }
    }
}

#[test]
fn every_rule_has_a_case() {
    let covered_elsewhere = [Rule::G2, Rule::G3, Rule::G4, Rule::S9];
    for rule in Rule::ALL {
        let is_broken = CASES
            .iter()
            .any(|(_, expected)| expected.split('/').next() == Some(rule.id()));
        assert!(is_broken || covered_elsewhere.contains(&rule), "{rule} has no case");
    }
}

#[test]
fn ids_of_rules_are_found_in_errors() {
    for rule in Rule::ALL {
        assert_eq!(Rule::of(&rule.broken("broken")), Some(rule));
    }
    assert_eq!(Rule::of(&crate::Error::malformed("not a rule")), None);
    let no_ops: Vec<_> = Rule::ALL
        .into_iter()
        .filter(|rule| rule.is_no_op())
        .map(Rule::id)
        .collect();
    assert_eq!(no_ops, ["D7", "T4", "S2", "S6"]);
}

#[test]
fn a_chain_starts_with_a_seed() {
    let good = MetadataBlock {
        system_time: day(3),
        prev_block_hash: None,
        sequence_number: 0,
        event: MetadataEvent::Seed(seed("root")),
    };
    let state = ChainState::start(hash("first"), &good).unwrap();
    assert_eq!(
        (
            state.head(),
            state.sequence_number(),
            state.system_time(),
            state.created_at()
        ),
        (hash("first"), 0, day(3), day(3))
    );

    let rule = |block: &MetadataBlock| ChainState::start(hash("first"), block).unwrap_err().rule();
    let event = parse(&state, "info x");
    assert_eq!(rule(&MetadataBlock { event, ..good.clone() }), Some("G1"));
    assert_eq!(
        rule(&MetadataBlock {
            prev_block_hash: Some(hash("none")),
            ..good.clone()
        }),
        Some("G1")
    );
    assert_eq!(
        rule(&MetadataBlock {
            sequence_number: 1,
            ..good
        }),
        Some("G2")
    );
}

#[test]
fn blocks_are_linked() {
    let state = state_of("root | info x");
    let good = next_block(&state, parse(&state, "info y"));
    let apply = |block: &MetadataBlock| {
        let mut next = state.clone();
        let result = next.apply(hash("new"), block, Strictness::Read);
        result.map(|()| next).map_err(|error| error.rule())
    };
    let next = apply(&good).unwrap();
    assert_eq!((next.head(), next.sequence_number()), (hash("new"), 2));

    let later = MetadataBlock {
        system_time: state.system_time() + TimeDelta::nanoseconds(1),
        ..good.clone()
    };
    assert_eq!(apply(&later).unwrap().system_time(), later.system_time);

    let sooner = state.system_time() - TimeDelta::nanoseconds(1);
    let broken = [
        (
            "G2",
            MetadataBlock {
                sequence_number: 1,
                ..good.clone()
            },
        ),
        (
            "G2",
            MetadataBlock {
                sequence_number: 3,
                ..good.clone()
            },
        ),
        (
            "G2",
            MetadataBlock {
                sequence_number: u64::MAX,
                ..good.clone()
            },
        ),
        (
            "G3",
            MetadataBlock {
                prev_block_hash: Some(hash("elsewhere")),
                ..good.clone()
            },
        ),
        (
            "G3",
            MetadataBlock {
                prev_block_hash: None,
                ..good.clone()
            },
        ),
        (
            "G4",
            MetadataBlock {
                system_time: sooner,
                ..good
            },
        ),
    ];
    for (rule, block) in broken {
        assert_eq!(apply(&block), Err(Some(rule)), "{block:?}");
    }
}

#[test]
fn a_clock_that_stepped_back_is_waited_for() {
    let mut state = state_of("root");
    assert_eq!(state.next_system_time(day(1)), day(1));
    state.system_time = day(2);
    assert_eq!(state.next_system_time(day(1)), day(2));
    assert!(state.next_system_time(Utc::now()) > day(2));
}

#[test]
fn the_first_schema_in_odf_types_may_correct_the_legacy_one() {
    let (mut state, _) = start("root");
    apply(&mut state, "legacy n:i64? m:str", Strictness::Read).unwrap();
    let legacy = state.schema().unwrap();
    assert_eq!(legacy.fields.len(), 6);

    let mut stricter = state.clone();
    apply(&mut stricter, "schema n:i64 m:str?", Strictness::Append).unwrap();
    let error = apply(&mut stricter, "schema n:i64? m:str?", Strictness::Append).unwrap_err();
    assert_eq!(error.rule(), Some("S3"));

    let error = apply(&mut state, "schema n:str m:str", Strictness::Append).unwrap_err();
    assert_eq!(error.rule(), Some("S3"));
}

#[test]
fn states_add_up() {
    let state = state_of(
        "root | vocab o p s | info about | license | attach hello world | push x | push y sep=; \
         | schema only o:i64 p:i32 s:ts event_time:ts \
         | add 0-9 wm=1 cp=a state=e1 | add 10-10 wm=1 cp=a state=e2 | info more",
    );
    assert_eq!(state.vocabulary().names(), ["o", "p", "s", "event_time"]);
    assert_eq!(state.info().unwrap().description.as_deref(), Some("more"));
    assert_eq!(state.license().unwrap().short_name, "CC0");
    assert_eq!(state.attachments()[0].content, "hello world");
    assert_eq!(state.push_sources().keys().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!((state.last_offset(), state.next_offset()), (Some(10), 11));
    assert_eq!(state.watermark(), Some(day(1)));
    assert_eq!(state.checkpoint().unwrap().physical_hash, hash("a"));
    assert_eq!(state.source_state().unwrap().value, "e2");
    assert_eq!(state.last_data_at(), Some(day(0)));
    let counts = state.counts();
    assert_eq!(
        (
            counts.blocks,
            counts.slices,
            counts.records,
            counts.data_bytes,
            counts.checkpoint_bytes
        ),
        (11, 2, 11, 200, 10)
    );

    let state = state_of("derivative | schema | transform A B | run A=h1/4 B 0-4 wm=1 cp=a | run A B=g1/- wm=1 cp=b");
    let stopped: Vec<_> = state
        .query_inputs()
        .unwrap()
        .iter()
        .map(|input| (input.last_block_hash(), input.last_offset()))
        .collect();
    assert_eq!(stopped, [(Some(hash("h1")), Some(4)), (Some(hash("g1")), None)]);
    assert_eq!(state.checkpoint().unwrap().physical_hash, hash("b"));
    assert_eq!(state.transform().unwrap().inputs.len(), 2);
    assert_eq!(state.counts().checkpoint_bytes, 20);
}

#[test]
fn states_survive_serialization() {
    for chain in [
        "root",
        "root | poll | schema n:i64? | add 0-9 wm=1 cp=a state=x",
        "root | vocab o | push x columns=t:ts | info x | license | attach y | add wm=1",
        "derivative | schema | transform A B | run A=h1/4 B 0-4 wm=1 cp=a",
    ] {
        let mut state = start(chain).0;
        for event in start(chain).1 {
            apply(&mut state, event, Strictness::Read).unwrap();
        }
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ChainState>(&text).unwrap(), state, "{text}");
    }
}
