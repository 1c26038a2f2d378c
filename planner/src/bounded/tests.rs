use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, ListArray, StringArray, TimestampNanosecondArray};
use arrow::datatypes::Int64Type;

use super::*;

fn texts(lengths: &[usize]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(
        lengths.iter().map(|length| "x".repeat(*length)),
    ))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn costs_are_told_from_arguments() {
    let list = |length: i64| {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..length).map(Some))]);
        Arc::new(list) as ArrayRef
    };
    let days = |day: i32| Arc::new(Date32Array::from(vec![day])) as ArrayRef;
    let moment = |second: i64| Arc::new(TimestampNanosecondArray::from(vec![second * 1_000_000_000])) as ArrayRef;
    let interval = |months, days, nanoseconds| {
        let interval = arrow::datatypes::IntervalMonthDayNano::new(months, days, nanoseconds);
        Arc::new(arrow::array::IntervalMonthDayNanoArray::from(vec![interval])) as ArrayRef
    };
    let cases: [(&str, Cost, Vec<ArrayRef>, u64); 16] = [
        ("repeat", repeated_text, vec![texts(&[2, 3]), ints(&[10, 100])], 320),
        (
            "repeat less than never",
            repeated_text,
            vec![texts(&[2]), ints(&[-5])],
            0,
        ),
        (
            "repeat far too often",
            repeated_text,
            vec![texts(&[2]), ints(&[i64::MAX])],
            u64::MAX - 1,
        ),
        ("lpad", padded_text, vec![texts(&[1]), ints(&[1000])], 4000),
        (
            "replace by little",
            replaced_text,
            vec![texts(&[100]), texts(&[1]), texts(&[2])],
            100,
        ),
        (
            "replace by much",
            replaced_text,
            vec![texts(&[99]), texts(&[0]), texts(&[1000])],
            100_000,
        ),
        ("concat", all_arguments, vec![texts(&[10, 20]), texts(&[1, 2])], 33),
        ("array_repeat", repeated_value, vec![ints(&[1]), ints(&[100])], 800),
        ("range of one", range, vec![ints(&[1000])], 8000),
        (
            "range with a step",
            range,
            vec![ints(&[0]), ints(&[1000]), ints(&[10])],
            800,
        ),
        (
            "range downwards",
            range,
            vec![ints(&[1000]), ints(&[0]), ints(&[-1])],
            8000,
        ),
        ("range of nothing", range, vec![ints(&[1000]), ints(&[0])], 0),
        ("range of days", range, vec![days(0), days(100), interval(0, 10, 0)], 80),
        (
            "range of moments",
            range,
            vec![moment(0), moment(100), interval(0, 0, 1_000_000_000)],
            800,
        ),
        (
            "levenshtein",
            pairs_of_bytes,
            vec![texts(&[100]), texts(&[200])],
            20_000,
        ),
        ("array_has_any", pairs_of_items, vec![list(100), list(200)], 20_000),
    ];
    for (name, cost, arguments, expected) in cases {
        assert_eq!(cost(&arguments), Some(expected), "{name}");
    }
    assert_eq!(
        repeated_text(&[ints(&[1]), ints(&[1])]),
        None,
        "the function itself refuses what is no text"
    );
}
