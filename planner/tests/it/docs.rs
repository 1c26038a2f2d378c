//! The examples of `docs/sql.md` give what the page says.

use std::collections::VecDeque;

use jetway_planner::PlanRequest;

use crate::catalog::{Fixture, text};

#[tokio::test]
async fn the_page_about_sql_is_true() {
    let fixture = Fixture::new().await;
    let mut given: VecDeque<(String, Vec<String>)> = VecDeque::new();
    let (mut statements, mut compared) = (0, 0);
    let mut lines = include_str!("../../../docs/sql.md").lines().peekable();
    while let Some(line) = lines.next() {
        if line == "```sql" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            for sql in block.join("\n").split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
                statements += 1;
                if sql.starts_with("SELECT") {
                    given.push_back((sql.to_owned(), text(&fixture.sql(sql).await.unwrap())));
                } else {
                    let request = PlanRequest::sql(&fixture.alice, sql);
                    fixture.planner.update(request, None).await.unwrap();
                }
            }
        } else if line.starts_with("|---") && !given.is_empty() {
            let (sql, rows) = given.pop_front().unwrap();
            let mut said = Vec::new();
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
                said.push(cells.join(" "));
            }
            assert_eq!(rows, said, "{sql}");
            compared += 1;
        }
    }
    assert!(
        statements > 10 && compared > 5 && given.is_empty(),
        "{statements} {compared} {given:?}"
    );
}
