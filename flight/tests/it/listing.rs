//! The catalog as tools browse it.

use arrow::array::{AsArray, RecordBatch};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, SqlInfo};
use arrow_flight::{FlightInfo, IpcMessage};
use tonic::transport::Channel;

use crate::fixture::{Node, cities, fetch, push};

type Client = FlightSqlServiceClient<Channel>;

fn text(batches: &[RecordBatch], column: usize) -> Vec<String> {
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(column)
                .as_string::<i32>()
                .iter()
                .map(|v| v.unwrap().to_owned())
        })
        .collect()
}

/// The rows, whose schema is the one that was announced.
async fn rows(client: &mut Client, info: FlightInfo) -> Vec<RecordBatch> {
    let declared = arrow::datatypes::Schema::try_from(IpcMessage(info.schema.clone())).unwrap();
    let batches = fetch(client, &info).await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema().as_ref(), &declared);
    }
    batches
}

async fn tables(client: &mut Client, command: CommandGetTables) -> Vec<String> {
    let info = client.get_tables(command).await.unwrap();
    text(&rows(client, info).await, 2)
}

#[tokio::test]
async fn catalogs_schemas_types_and_info() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let info = alice.get_catalogs().await.unwrap();
    assert_eq!(text(&rows(&mut alice, info).await, 0), ["jetway"]);
    let info = alice.get_table_types().await.unwrap();
    assert_eq!(
        text(&rows(&mut alice, info).await, 0),
        ["SYSTEM TABLE", "TABLE", "VIEW"]
    );
    for (catalog, filter, expected) in [
        (None, None, vec!["alice", "information_schema", "public", "system"]),
        (Some("jetway"), Some("%li%"), vec!["alice", "public"]),
        (Some("jetway"), Some("al_ce"), vec!["alice"]),
        (None, Some("bob"), vec![]),
        (Some(""), None, vec![]),
        (Some("other"), None, vec![]),
    ] {
        let command = CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: filter.map(str::to_owned),
        };
        let info = alice.get_db_schemas(command).await.unwrap();
        assert_eq!(
            text(&rows(&mut alice, info).await, 1),
            expected,
            "{catalog:?} {filter:?}"
        );
    }
    let info = alice.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    let batches = rows(&mut alice, info).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let info = alice.get_sql_info(vec![]).await.unwrap();
    assert!(rows(&mut alice, info).await[0].num_rows() > 80);
}

#[tokio::test]
async fn tables_are_filtered_and_only_those_that_the_caller_may_see() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    for table in ["net.example.my-table", "net.example.trades", "other"] {
        push(&mut alice, table, vec![cities(&["Bern"])]).await;
    }
    let mut public = node.client("public").await;
    push(&mut public, "shared", vec![cities(&["Bern"])]).await;

    let all = CommandGetTables::default();
    let everything = tables(&mut alice, all.clone()).await;
    assert!(
        ["columns", "other", "tables"]
            .iter()
            .all(|&name| everything.iter().any(|table| table == name))
    );
    let all = CommandGetTables {
        table_types: vec!["TABLE".to_owned(), "VIEW".to_owned()],
        ..all
    };
    assert_eq!(
        tables(&mut alice, all.clone()).await,
        ["net.example.my-table", "net.example.trades", "other", "shared"]
    );
    assert_eq!(tables(&mut node.client("bob").await, all.clone()).await, ["shared"]);

    let name = |pattern: &str| CommandGetTables {
        table_name_filter_pattern: Some(pattern.to_owned()),
        ..all.clone()
    };
    assert_eq!(
        tables(&mut alice, name("net.%")).await,
        ["net.example.my-table", "net.example.trades"]
    );
    assert_eq!(
        tables(&mut alice, name("NET.EXAMPLE.my_table")).await,
        ["net.example.my-table"]
    );
    assert!(tables(&mut alice, name(r"net.example.my\_table")).await.is_empty());
    let schema = CommandGetTables {
        db_schema_filter_pattern: Some("public".to_owned()),
        ..all.clone()
    };
    assert_eq!(tables(&mut alice, schema).await, ["shared"]);
    for (types, expected) in [
        (vec!["TABLE"], 4),
        (vec!["VIEW"], 0),
        (vec!["VIEW", "TABLE"], 4),
        (vec!["SYSTEM"], 0),
    ] {
        let command = CommandGetTables {
            table_types: types.iter().map(|&name| name.to_owned()).collect(),
            ..all.clone()
        };
        assert_eq!(tables(&mut alice, command).await.len(), expected, "{types:?}");
    }
    for (catalog, expected) in [("jetway", 4), ("", 0), ("other", 0)] {
        let command = CommandGetTables {
            catalog: Some(catalog.to_owned()),
            ..all.clone()
        };
        assert_eq!(tables(&mut alice, command).await.len(), expected, "{catalog:?}");
    }
}

#[tokio::test]
async fn what_is_not_offered_names_itself() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let error = alice.begin_transaction().await.unwrap_err();
    assert!(error.to_string().contains("BeginTransaction"), "{error}");
    let error = alice
        .execute_update("DELETE FROM x".to_owned(), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("DELETE"));
}
