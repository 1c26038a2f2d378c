use crate::read::ddl::parse;

fn parsed(definition: &str) -> String {
    let schema = parse(&[definition.to_owned()]).unwrap();
    let field = schema.field(0);
    let required = if field.is_nullable() { "" } else { " NOT NULL" };
    format!("{} {}{required}", field.name(), field.data_type())
}

#[test]
fn types() {
    let cases = [
        ("a BIGINT", "a Int64"),
        ("a int", "a Int32"),
        ("a Integer NOT NULL", "a Int32 NOT NULL"),
        ("a SMALLINT", "a Int16"),
        ("a TINYINT", "a Int8"),
        ("a BIGINT UNSIGNED", "a UInt64"),
        ("a STRING", "a Utf8"),
        ("a VARCHAR(255)", "a Utf8"),
        ("a CHAR", "a Utf8"),
        ("a CHARACTER VARYING (3) not null", "a Utf8 NOT NULL"),
        ("a TEXT NULL", "a Utf8"),
        ("a BOOLEAN", "a Boolean"),
        ("a FLOAT", "a Float32"),
        ("a REAL", "a Float32"),
        ("a DOUBLE", "a Float64"),
        ("a DOUBLE PRECISION", "a Float64"),
        ("a DECIMAL", "a Decimal128(10, 0)"),
        ("a DECIMAL(12,2)", "a Decimal128(12, 2)"),
        ("a NUMERIC ( 50 , 10 )", "a Decimal256(50, 10)"),
        ("a DATE", "a Date32"),
        ("a TIME", "a Time32(ms)"),
        ("a TIME(6)", "a Time64(µs)"),
        ("a TIMESTAMP", "a Timestamp(ms, \"UTC\")"),
        ("a TIMESTAMP(0)", "a Timestamp(s, \"UTC\")"),
        ("a TIMESTAMP(6) WITH TIME ZONE", "a Timestamp(µs, \"UTC\")"),
        (
            "a TIMESTAMP(9) WITHOUT TIME ZONE NOT NULL",
            "a Timestamp(ns, \"UTC\") NOT NULL",
        ),
        ("a BINARY", "a Binary"),
        ("a ARRAY<INT>", "a List(Int32)"),
        ("a ARRAY<ARRAY<STRING>>", "a List(List(Utf8))"),
        (
            "a STRUCT<x: INT, `y z` STRING NOT NULL>",
            "a Struct(\"x\": Int32, \"y z\": non-null Utf8)",
        ),
        (
            "a MAP<STRING, DOUBLE>",
            "a Map(\"entries\": non-null Struct(\"keys\": non-null Utf8, \"values\": Float64), unsorted)",
        ),
        ("`order by` INT", "order by Int32"),
        ("\"say \"\"x\"\"\" INT", "say \"x\" Int32"),
        ("Größe INT", "Größe Int32"),
        ("date DATE", "date Date32"),
    ];
    for (definition, expected) in cases {
        assert_eq!(parsed(definition), expected, "{definition}");
    }
}

#[test]
fn mistakes_are_told_with_their_definition() {
    let cases = [
        ("", "a name is expected"),
        ("a", "a type is expected"),
        ("a MONEY", "MONEY is not a type"),
        ("a INT INT", "'INT' is not expected"),
        ("a INT NOT", "NULL is expected"),
        ("a DECIMAL(5,6)", "a decimal has"),
        ("a DECIMAL(77)", "a decimal has"),
        ("a DECIMAL(x)", "'x' is not a number"),
        ("a TIMESTAMP(10)", "0 to 9 digits"),
        ("a TIMESTAMP WITH ZONE", "TIME ZONE is expected"),
        ("a ARRAY<INT", "'>' is missing"),
        ("a ARRAY INT", "'<' is expected"),
        ("a STRUCT<>", "a name is expected"),
        ("`a INT", "a quote is not closed"),
        ("a 'INT'", "is not a type"),
    ];
    for (definition, part) in cases {
        let error = parse(&["x INT".to_owned(), definition.to_owned()]).unwrap_err();
        super::assert_says(&error, &[part, &format!("definition: {definition}")]);
    }
    let deep = format!("a {}INT{}", "ARRAY<".repeat(10_000), ">".repeat(10_000));
    assert!(parse(&[deep]).is_err());
}
