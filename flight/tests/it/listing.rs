//! The catalog as tools browse it.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo};
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

/// The names of types and the conversions that clients are told of are those that statements may use.
#[tokio::test]
async fn types_and_conversions_are_true() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let info = alice
        .get_xdbc_type_info(CommandGetXdbcTypeInfo::default())
        .await
        .unwrap();
    let types = text(&rows(&mut alice, info).await, 0);
    assert!(types.len() > 20);
    for name in types {
        let sql = format!("SELECT CAST(NULL AS {name}) AS c");
        let info = alice
            .execute(sql, None)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        rows(&mut alice, info).await;
    }
    let info = alice.get_sql_info(vec![SqlInfo::SqlSupportsConvert]).await.unwrap();
    let batches = rows(&mut alice, info).await;
    let map = batches[0].column(1).as_union().value(0);
    let map = map.as_map();
    let names = |code: i32| match code {
        0 => "BIGINT",
        1 | 10 | 18 => "BYTEA",
        2 => "BOOLEAN",
        3 => "CHAR",
        4 => "DATE",
        5 => "DECIMAL(20, 4)",
        6 => "FLOAT",
        7 => "INTEGER",
        11 => "TEXT",
        12 => "NUMERIC(20, 4)",
        13 => "REAL",
        14 => "SMALLINT",
        15 => "TIME",
        16 => "TIMESTAMP",
        17 => "TINYINT",
        19 => "VARCHAR",
        other => panic!("{other}"),
    };
    let entries = map.value(0);
    let from = entries.column(0).as_primitive::<Int32Type>();
    let to = entries.column(1).as_list::<i32>();
    let mut casts = Vec::new();
    for (&from, to) in from.values().iter().zip(to.iter()) {
        for &to in to.unwrap().as_primitive::<Int32Type>().values() {
            casts.push(format!(
                "CAST(CAST(NULL AS {}) AS {}) AS c{}",
                names(from),
                names(to),
                casts.len()
            ));
        }
    }
    assert!(casts.len() > 150);
    for some in casts.chunks(40) {
        let info = alice.execute(format!("SELECT {}", some.join(", ")), None).await;
        let info = info.unwrap_or_else(|error| panic!("{error}"));
        rows(&mut alice, info).await;
    }
    // The functions that are named can be called.
    let info = alice.get_sql_info(vec![SqlInfo::SqlNumericFunctions]).await.unwrap();
    let batches = rows(&mut alice, info).await;
    let functions = batches[0].column(1).as_union().value(0).as_list::<i32>().value(0);
    let functions: Vec<_> = functions
        .as_string::<i32>()
        .iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    assert!(
        functions.is_sorted() && functions.iter().any(|name| name == "power"),
        "{functions:?}"
    );
}

/// Trap 3 and 4: schemas of tables are valid, have the nullability of the rows, and tell tools about their columns.
#[tokio::test]
async fn schemas_of_tables_are_those_of_their_rows() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let command = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = alice.get_tables(command).await.unwrap();
    let batches = rows(&mut alice, info).await;
    let mut listed = Vec::new();
    for batch in &batches {
        let [schemas, tables] = [1, 2].map(|column| batch.column(column).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let bytes = batch.column(4).as_binary::<i32>().value(row);
            let schema = arrow_ipc::convert::try_schema_from_ipc_buffer(bytes).unwrap();
            listed.push((schemas.value(row).to_owned(), tables.value(row).to_owned(), schema));
        }
    }
    assert!(listed.is_sorted_by_key(|(schema, table, _)| (schema.clone(), table.clone())));
    for (account, table, schema) in listed {
        let info = alice
            .execute(format!("SELECT * FROM {account}.{table}"), None)
            .await
            .unwrap();
        let streamed = arrow::datatypes::Schema::try_from(IpcMessage(info.schema)).unwrap();
        let plain = |schema: &arrow::datatypes::Schema| -> Vec<_> {
            let fields = schema.fields().iter();
            fields
                .map(|f| (f.name().clone(), f.data_type().clone(), f.is_nullable()))
                .collect()
        };
        assert_eq!(plain(&schema), plain(&streamed), "{account}.{table}");
        for field in schema.fields() {
            let told = |key: &str| {
                field
                    .metadata()
                    .get(&format!("ARROW:FLIGHT:SQL:{key}"))
                    .map(String::as_str)
            };
            assert_eq!(
                (told("TABLE_NAME"), told("SCHEMA_NAME")),
                (Some(table.as_str()), Some(account.as_str()))
            );
            assert!(told("TYPE_NAME").is_some());
        }
    }
}

#[tokio::test]
async fn what_is_not_offered_names_itself() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let error = alice
        .execute_update("TRUNCATE TABLE x".to_owned(), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("TRUNCATE"));
}
