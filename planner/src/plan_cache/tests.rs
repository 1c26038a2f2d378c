//! Which literals become parameters.

use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;

use super::literals::lift;
use crate::parse;

/// The text with parameters and without spaces, and the values.
fn lifted(sql: &str) -> Option<(String, Vec<String>)> {
    let tokens = parse::tokens(&SessionContext::new().state(), sql).unwrap();
    let lifted = lift(&tokens)?;
    let text: Vec<String> = lifted.key.iter().map(ToString::to_string).collect();
    let columns = lifted.values.columns().iter();
    let values = columns.map(|column| format!("{}:{}", array_value_to_string(column, 0).unwrap(), column.data_type()));
    Some((text.join(" "), values.collect()))
}

#[test]
fn literals_of_conditions_become_parameters() {
    for (sql, text, values) in [
        (
            "SELECT * FROM t WHERE id = 7",
            "SELECT * FROM t WHERE id = $1",
            &["7:Int64"][..],
        ),
        (
            "SELECT *\nFROM t -- why\nWHERE id=  8",
            "SELECT * FROM t WHERE id = $1",
            &["8:Int64"],
        ),
        (
            "SELECT a, 1 FROM t WHERE id >= 7 AND (name = 'it''s' OR NOT (x <> 3)) ORDER BY 1 LIMIT 5",
            "SELECT a , 1 FROM t WHERE id >= $1 AND ( name = $2 OR NOT ( x <> $3 ) ) ORDER BY 1 LIMIT 5",
            &["7:Int64", "it's:Utf8", "3:Int64"],
        ),
        (
            "SELECT count(*) FROM t WHERE n % 2 = 0 GROUP BY 1",
            "SELECT count ( * ) FROM t WHERE n % 2 = $1 GROUP BY 1",
            &["0:Int64"],
        ),
        (
            "SELECT * FROM t WHERE lower(name) = 'x';",
            "SELECT * FROM t WHERE lower ( name ) = $1 ;",
            &["x:Utf8"],
        ),
    ] {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!(lifted(sql), Some((text.to_owned(), values)), "{sql}");
    }
}

/// Whatever says more than a value stays where it is.
#[test]
fn other_literals_stay() {
    for kept in [
        "n + 1 > m",
        "n = 1 + 2",
        "n = 1.5",
        "n = 1e3",
        "n = -1",
        "n = 99999999999999999999",
        "d = DATE '2024-01-01'",
        "d > '2024-01-01'::date",
        "t = '2024-01-01' AT TIME ZONE 'UTC'",
        "n IN (1, 2)",
        "n BETWEEN 1 AND 2",
        "substr(s, 1) = t",
        "f(n = 1)",
        "coalesce(n = 1, m = 2)",
        "s LIKE 'x%'",
        "s = 'a' || 'b'",
        "d > now() - INTERVAL '1 day'",
        "l[1] = n",
        "s = X'00'",
        "s = E'a'",
    ] {
        let (text, values) = lifted(&format!("SELECT * FROM t WHERE z = 0 AND {kept}")).unwrap();
        assert_eq!(values, ["0:Int64"], "{kept} became {text}");
    }
    for sql in [
        "SELECT 1",
        "SELECT n = 1 FROM t",
        "SELECT * FROM t ORDER BY n = 1",
        "SELECT CASE WHEN n = 1 THEN 2 END FROM t WHERE n = 1",
        "SELECT * FROM t WHERE n = 1 UNION SELECT * FROM u WHERE n = 1",
        "SELECT * FROM t WHERE n = (SELECT max(n) FROM t WHERE m = 1)",
        "WITH a AS (SELECT 1) SELECT * FROM a WHERE n = 1",
        "EXPLAIN SELECT * FROM t WHERE n = 1",
        "INSERT INTO t SELECT * FROM u WHERE n = 1",
        "SELECT * FROM t WHERE n = 1 AND m = ?",
        "WHERE n = 1",
        "SELECT * FROM t WHERE n = 1) OR (m = 2",
        "",
    ] {
        assert!(lifted(sql).is_none_or(|(_, values)| values.is_empty()), "{sql}");
    }
}
