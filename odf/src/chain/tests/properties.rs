//! Random chains.

use proptest::prelude::*;

use super::build::reload;
use super::dsl::{day, parse, seed};
use super::read::store;
use crate::chain::{ChainState, Strictness, load};
use crate::codec::ManifestVersion;

const SCHEMAS: &[&str] = &[
    "schema",
    "schema n:i64",
    "schema n:i64?",
    "schema n:i64 m:str?",
    "schema m:str? n:i64",
    "schema only n:i64",
    "legacy n:i64?",
];
const TRANSFORMS: &[&str] = &[
    "transform A B",
    "transform A",
    "transform B A",
    "transform A A!",
    "query named",
    "query last",
];
const SOURCES: &[&str] = &[
    "push x",
    "push y",
    "push x sep=;",
    "push x sql=short",
    "poll",
    "poll files sql=steps",
    "poll logs",
];
const OTHERS: &[&str] = &[
    "info a",
    "info b",
    "license",
    "attach x",
    "vocab o",
    "vocab",
    "seed",
    "disable-push",
    "disable-poll",
    "schema-none",
];

/// One word out of several, or none.
fn maybe(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 1 => prop::sample::select(words).prop_map(str::to_owned)]
}

/// A slice that mostly starts somewhere near the right place: `+n` is replaced by the next offset and n rows.
fn rows() -> impl Strategy<Value = String> {
    let right = (1..20_u64).prop_map(|rows| format!("+{rows}"));
    let odd = maybe(&["0-9", "7-3", "0-max", "max-max", "5-5"]);
    prop_oneof![6 => right, 1 => odd, 2 => Just(String::new())]
}

fn inputs() -> impl Strategy<Value = String> {
    let input = |name: &'static str| {
        maybe(&["=h1/1", "=h2/2", "=h3/-", "=-/4", "<h1/1=h2/9", "<h9/max"])
            .prop_map(move |position| format!("{name}{position}"))
    };
    let both = (input("A"), input("B")).prop_map(|(a, b)| format!("{a} {b}"));
    prop_oneof![4 => both, 1 => input("A"), 1 => Just(String::new())]
}

fn event() -> impl Strategy<Value = String> {
    let tail = || {
        let watermark = prop_oneof![1 => Just(String::new()), 3 => (0..6).prop_map(|day| format!("wm={day}"))];
        (
            watermark,
            maybe(&["cp=a", "cp=b"]),
            maybe(&["state=x", "state=y"]),
            maybe(&["prev=none", "prev=4", "prev=max", "prevcp=b", "prevcp=none", "extra"]),
        )
            .prop_map(|(watermark, checkpoint, state, odd)| format!("{watermark} {checkpoint} {state} {odd}"))
    };
    prop_oneof![
        6 => (rows(), tail()).prop_map(|(rows, tail)| format!("add {rows} {tail}")),
        6 => (inputs(), rows(), tail()).prop_map(|(inputs, rows, tail)| format!("run {inputs} {rows} {tail}")),
        4 => prop::sample::select(SCHEMAS).prop_map(str::to_owned),
        2 => prop::sample::select(TRANSFORMS).prop_map(str::to_owned),
        2 => prop::sample::select(SOURCES).prop_map(str::to_owned),
        2 => prop::sample::select(OTHERS).prop_map(str::to_owned),
    ]
}

/// Replaces `+n` by the interval of the next n offsets.
fn place_rows(state: &ChainState, event: &str) -> String {
    let place = |word: &str| match word.strip_prefix('+') {
        Some(rows) => format!(
            "{}-{}",
            state.next_offset(),
            state.next_offset().saturating_add(rows.parse::<u64>().unwrap() - 1)
        ),
        None => word.to_owned(),
    };
    event.split_whitespace().map(place).collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_is_read_back_as_it_was(
        kind in prop::sample::select(&["root", "derivative"][..]),
        version in prop::sample::select(&[ManifestVersion::V2, ManifestVersion::V3][..]),
        events in prop::collection::vec((event(), -1..3_i64), 0..40),
    ) {
        let (mut blocks, mut state) = ChainState::create(seed(kind), Vec::new(), day(0), version).unwrap();
        for (event, days) in events {
            let event = parse(&state, &place_rows(&state, &event));
            let before = state.clone();
            let result = state.append(vec![event], state.system_time() + chrono::TimeDelta::days(days), version);
            prop_assert_eq!(&state, &before);
            match result {
                Ok((made, next)) => {
                    prop_assert_eq!(made.len(), 1);
                    blocks.extend(made);
                    state = next;
                }
                Err(error) => prop_assert!(error.rule().is_some(), "{error}"),
            }
        }
        prop_assert_eq!(&reload(&blocks, Strictness::Append), &state);
        prop_assert_eq!(&reload(&blocks, Strictness::Read), &state);
        let text = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ChainState>(&text).unwrap(), &state);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let loaded = runtime.block_on(async {
            let storage = store(&blocks).await;
            load(&storage, state.head(), |_| {}).await.unwrap()
        });
        prop_assert_eq!(&loaded, &state);
    }

    #[test]
    fn reading_accepts_all_that_is_written_and_never_panics(
        kind in prop::sample::select(&["root", "derivative"][..]),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let (_, mut state) = ChainState::create(seed(kind), Vec::new(), day(0), ManifestVersion::V3).unwrap();
        for (number, event) in events.into_iter().enumerate() {
            let block = super::dsl::next_block(&state, parse(&state, &place_rows(&state, &event)));
            let hash = super::dsl::hash(&format!("block {number}"));
            let mut strict = state.clone();
            let strictly = strict.apply(hash, &block, Strictness::Append);
            let before = state.clone();
            match state.apply(hash, &block, Strictness::Read) {
                Ok(()) => prop_assert!(strictly.is_err() || strict == state),
                Err(error) => {
                    prop_assert!(strictly.is_err(), "reading refuses what is written: {error}");
                    prop_assert_eq!(&state, &before);
                }
            }
        }
    }
}
