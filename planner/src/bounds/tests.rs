use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;

fn check(sql: &str) -> Result<()> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .unwrap();
    check_tokens(&tokens)
}

#[test]
fn long_lists_are_no_levels() {
    let many = |count: usize, item: &str| vec![item; count].join(", ");
    for sql in [
        "SELECT 1".to_owned(),
        format!("SELECT * FROM t WHERE a IN ({})", many(100_000, "-1")),
        format!("INSERT INTO t VALUES {}", many(20_000, "(-1, 2 + 3, f(4))")),
        format!("SELECT {}", many(MAX_COLUMNS, "a + b")),
        format!("SELECT CASE {} END", "WHEN a = 1 AND b > 2 THEN c ".repeat(10_000)),
        format!("SELECT {}", many(MAX_COLUMNS, "CASE WHEN a + b > 1 THEN c ELSE d END")),
        format!(
            "SELECT 1 WHERE {}",
            vec!["CASE WHEN a > 1 THEN b END"; 300].join(" AND ")
        ),
        format!("SELECT 1 WHERE {}", vec!["(a = 1 AND b + 1 > 2)"; 300].join(" OR ")),
        vec!["SELECT a, b FROM t WHERE c = 1"; 1000].join(" UNION ALL "),
        format!("SELECT count(*), t.*, {} FROM t", many(100, "count(*), a * b")),
    ] {
        check(&sql).unwrap_or_else(|error| panic!("{}: {error}", &sql[..40]));
    }
}

#[test]
fn depth_and_width_have_limits() {
    let chain = |operator: &str| format!("SELECT {}", vec!["a"; 2100].join(operator));
    let nested_with_chains = |word: &str| {
        let sum = vec!["1"; 100].join("+");
        let level = format!("CASE WHEN {sum} > 1 THEN 1 {word} {sum} + ");
        format!("SELECT {}1", level.repeat(40))
    };
    let nested = |open: &str, close: &str| format!("SELECT {}1{}", open.repeat(2100), close.repeat(2100));
    for sql in [
        chain(" AND "),
        chain(" or "),
        chain("+"),
        chain(" || "),
        chain("::"),
        chain(" = "),
        nested("(", ")"),
        nested("f(", ")"),
        nested("[", "]"),
        nested("NOT ", ""),
        nested("- ", ""),
        nested("CASE WHEN true THEN ", " END"),
        // Neither level has too much, but they stand upon each other.
        nested_with_chains("ELSE"),
        nested_with_chains("WHEN"),
        // Words of the language are names where a value is wanted.
        format!("SELECT {}", vec!["a"; 2100].join(" + when + ")),
        format!("SELECT CASE WHEN {} THEN 1 END", vec!["a"; 2100].join(" + limit + ")),
        format!("SELECT CASE WHEN {} THEN 1 END", vec!["a"; 2100].join(" + end + ")),
        chain(" AND when AND "),
        chain(" IS DISTINCT FROM "),
        chain(" IS NOT DISTINCT FROM "),
        vec!["SELECT 1"; 2100].join(" UNION "),
        vec!["SELECT 1"; 2100].join(" EXCEPT ALL "),
        format!("SELECT * FROM {}", vec!["t"; 600].join(", ")),
        format!("SELECT * FROM {}", vec!["t"; 600].join(" CROSS JOIN ")),
        // Neither of the two chains is too long.
        format!("SELECT ({}) + {}", vec!["a"; 1100].join("+"), vec!["a"; 1100].join("+")),
        format!("SELECT {} FROM t", vec!["*"; MAX_STARS + 1].join(", ")),
        format!("SELECT {} FROM t", vec!["t.*"; MAX_STARS + 1].join(", ")),
        format!("SELECT {} FROM t", vec!["1"; MAX_COLUMNS + 1].join(", ")),
        format!("SELECT 1 UNION SELECT {} FROM t", vec!["1"; MAX_COLUMNS + 1].join(", ")),
    ] {
        let error = check(&sql).expect_err(&sql[..40]);
        assert_eq!(error.kind(), ErrorKind::InvalidSql);
        assert!(error.message().contains("Line: 1, Column: "), "{error}");
    }
}

#[test]
fn names_count_as_what_they_mean() {
    let check = |sql: &str| {
        let mut statements = DFParser::parse_sql(sql).unwrap();
        check_statement(&statements.pop_front().unwrap())
    };
    let doubling = |times: usize| {
        let names =
            (1..times).map(|name| format!("c{name} AS (SELECT * FROM c{0} UNION ALL SELECT * FROM C{0})", name - 1));
        let names: Vec<String> = std::iter::once("c0 AS (SELECT * FROM t)".to_owned())
            .chain(names)
            .collect();
        format!("WITH {} SELECT * FROM c{}", names.join(", "), times - 1)
    };
    check(&doubling(8)).unwrap();
    check(&vec!["SELECT * FROM t"; 1500].join(" UNION ALL ")).unwrap();
    for sql in [
        doubling(40),
        format!("EXPLAIN {}", doubling(40)),
        format!("SELECT * FROM ({}) u", doubling(12)),
    ] {
        assert_eq!(check(&sql).unwrap_err().kind(), ErrorKind::InvalidSql, "{sql}");
    }
}

#[test]
fn small_statements_are_told_from_large_ones() {
    let is_small = |sql: &str| is_small(&crate::Query::Sql(sql.to_owned()));
    assert!(is_small("SELECT a, b FROM t WHERE c = 1 AND d = 2"));
    assert!(!is_small(&format!("SELECT {}", vec!["a"; 100].join("+"))));
    assert!(!is_small(&vec!["SELECT 1"; 100].join(" union ")));
    assert!(!is_small(&"x".repeat(SMALL_BYTES + 1)));
}
