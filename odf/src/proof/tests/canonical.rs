use serde_json::{Value, json};

use crate::proof::canonical::{write_f32, write_f64};
use crate::proof::{canonical, parse};

fn text(value: &Value) -> String {
    String::from_utf8(canonical(value)).unwrap()
}

#[test]
fn floats_are_written_as_ecmascript_writes_them() {
    // Bits and texts of RFC 8785, appendix B.
    let cases: &[(u64, &str)] = &[
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, expected) in cases {
        let mut out = Vec::new();
        write_f64(f64::from_bits(*bits), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(&out, expected);
    }
    for (value, expected) in [
        (0.1f32, "0.1"),
        (16_777_216.0, "16777216"),
        (1e-7, "1e-7"),
        (f32::MAX, "3.4028235e+38"),
    ] {
        let mut out = Vec::new();
        write_f32(value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_document_has_one_canonical_form() {
    let cases = [
        // By UTF-16 code units: the emoji's first one comes before U+FB33.
        (
            r#"{"\ufb33": 1, "\ud83d\ude00": 2, "\u20ac": 3, "1": 4, "\r": 5, "\u00f6": 6}"#,
            "{\"\\r\":5,\"1\":4,\"\u{f6}\":6,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}",
        ),
        (
            r#" { "b" : [ 1.0 , 1e2 , -0 , true , null ] , "a" : { } } "#,
            r#"{"a":{},"b":[1,100,0,true,null]}"#,
        ),
        (
            r#"["\u0041\/\"\\\b\f\n\r\t\u001f\u007f", "\u00e9"]"#,
            "[\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u001f\u{7f}\",\"\u{e9}\"]",
        ),
        (
            "[9007199254740993, 18446744073709551615, -9223372036854775808]",
            "[9007199254740993,18446744073709551615,-9223372036854775808]",
        ),
    ];
    for (written, expected) in cases {
        let value = parse(written.as_bytes()).unwrap();
        assert_eq!(text(&value), expected);
        assert_eq!(text(&parse(expected.as_bytes()).unwrap()), expected);
    }
}

#[test]
fn texts_with_two_meanings_are_refused() {
    let deep = "[".repeat(100_000);
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"[{"x":{"b":1,"c":2,"b":3}}]"#,
        "{",
        "[1] 2",
        "1e999",
        deep.as_str(),
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
    }
    assert_eq!(parse(b"{\"a\":{\"a\":1}}").unwrap(), json!({"a": {"a": 1}}));
}
