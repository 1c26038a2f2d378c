//! Whatever the values are, they come back as they went in.

use arrow::datatypes::Decimal128Type;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::rows;
use crate::read::value::decimal;

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Rows of two texts of characters that mean something to readers. Nulls are not among them.
fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    let text = || "[a,;\"'\\\\\r\n {}\\[\\]:0µ😀]{0,12}";
    proptest::collection::vec((text(), text()), 1..20)
}

/// As [`super::lines`] shows them.
fn expected(rows: &[(String, String)]) -> Vec<String> {
    rows.iter().map(|(one, other)| format!("{one}|{other}")).collect()
}

#[test]
fn texts_of_csv_and_json() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let columns = json!(["a TEXT", "b TEXT"]);
    let check = |rows_in: Vec<(String, String)>| {
        let escaped = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let doubled = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let csv = |quote: &dyn Fn(&str) -> String| {
            let lines = rows_in
                .iter()
                .map(|(one, other)| format!("{},{}\r\n", quote(one), quote(other)));
            lines.collect::<String>()
        };
        let objects: Vec<Value> = rows_in.iter().map(|(a, b)| json!({ "a": a, "b": b })).collect();
        let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let pretty = serde_json::to_string_pretty(&json!({ "x": { "y": objects } })).unwrap();
        let cases = [
            (
                json!({ "kind": "Csv", "ddlSchema": columns, "escape": "", "nullValue": "NULL" }),
                csv(&doubled),
            ),
            (
                json!({ "kind": "Csv", "ddlSchema": columns, "nullValue": "NULL" }),
                csv(&escaped),
            ),
            (json!({ "kind": "NdJson", "ddlSchema": columns }), lines),
            (
                json!({ "kind": "Json", "subPath": "x.y", "ddlSchema": columns }),
                pretty,
            ),
        ];
        for (definition, text) in cases {
            let found = runtime.block_on(rows(definition.clone(), text));
            prop_assert_eq!(found, expected(&rows_in), "{}", definition);
        }
        Ok(())
    };
    runner().run(&texts(), check).unwrap();
}

#[test]
fn decimals_are_exact_however_they_are_written() {
    let numbers = (-10_i128.pow(37)..10_i128.pow(37), 0_i8..=30, -40_i32..40);
    let check = |(unscaled, scale, exponent): (i128, i8, i32)| {
        let digits = format!("{:0>40}", unscaled.unsigned_abs());
        let sign = if unscaled < 0 { "-" } else { "" };
        let (whole, fraction) = digits.split_at(40 - usize::try_from(scale).unwrap());
        let plain = format!("{sign}{whole}.{fraction}000");
        prop_assert_eq!(decimal::<Decimal128Type>(&plain, 38, scale), Ok(unscaled), "{}", plain);
        let scientific = format!("{sign}{digits}e{}", -i32::from(scale));
        prop_assert_eq!(
            decimal::<Decimal128Type>(&scientific, 38, scale),
            Ok(unscaled),
            "{}",
            scientific
        );
        // The value of another exponent either is the same number of units, or is refused.
        let moved = decimal::<Decimal128Type>(&format!("{unscaled}e{exponent}"), 38, scale);
        let power = exponent + i32::from(scale);
        let exact = match u32::try_from(power) {
            Ok(power) => 10_i128
                .checked_pow(power)
                .and_then(|factor| unscaled.checked_mul(factor)),
            Err(_) => {
                let factor = 10_i128.checked_pow(power.unsigned_abs());
                factor
                    .filter(|factor| unscaled % factor == 0)
                    .map(|factor| unscaled / factor)
            }
        };
        let fits = exact.filter(|exact| exact.unsigned_abs() < 10_u128.pow(38));
        prop_assert_eq!(moved.ok(), if unscaled == 0 { Some(0) } else { fits });
        Ok(())
    };
    runner().run(&numbers, check).unwrap();
}
