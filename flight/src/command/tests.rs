use arrow::array::AsArray;
use arrow::datatypes::UInt32Type;
use arrow_flight::sql::{
    CommandStatementIngest, ProstMessageExt, SqlInfo, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use jetway_planner::{IfExists, IfNotExists};

use super::*;
use crate::{ErrorKind, FlightOptions, TicketKey};

#[test]
fn patterns() {
    for (pattern, name, expected) in [
        ("%", "", true),
        ("", "", true),
        ("", "a", false),
        ("alice", "Alice", true),
        ("al_ce", "alice", true),
        ("al_ce", "al-ce", true),
        ("my_table", "my-table", true),
        (r"my\_table", "my-table", false),
        (r"100\%", "100%", true),
        (r"100\%", "1000", false),
        ("%trades", "net.example.trades", true),
        ("net.%.trades", "net.example.trades", true),
        ("net.%.trade", "net.example.trades", false),
        ("%a%a%", "banana", true),
        ("%a%a%a%a%", "banana", false),
        ("_", "日", true),
        (r"\", r"\", true),
    ] {
        assert_eq!(pattern::matches(pattern, name), expected, "{pattern} on {name}");
    }
    // Many wildcards take no exponential time.
    assert!(!pattern::matches(&"%a".repeat(50), &"b".repeat(5000)));
}

#[test]
fn the_catalog_is_ours_or_nobodys() {
    assert!(pattern::wants_catalog(None));
    assert!(pattern::wants_catalog(Some("jetway")));
    assert!(!pattern::wants_catalog(Some("")));
    assert!(!pattern::wants_catalog(Some("other")));
}

fn options() -> FlightOptions {
    FlightOptions::new(TicketKey::generate().unwrap())
}

#[test]
fn sql_info_answers_each_code_and_all() {
    let all = sql_info::rows(&options(), &CommandGetSqlInfo::default()).unwrap();
    let codes: Vec<u32> = all.column(0).as_primitive::<UInt32Type>().values().to_vec();
    let defined: Vec<u32> = (0..=2000)
        .filter(|&code| SqlInfo::try_from(code).is_ok())
        .map(|code| code as u32)
        .collect();
    assert_eq!(codes, defined);
    let some = CommandGetSqlInfo {
        info: vec![504, 0, 999_999],
    };
    let some = sql_info::rows(&options(), &some).unwrap();
    assert_eq!(some.schema(), sql_info::schema());
    assert_eq!(some.column(0).as_primitive::<UInt32Type>().values(), &[0, 504]);
    let union = some.column(1).as_union();
    assert_eq!(union.value(0).as_string::<i32>().value(0), "Jetway");
    assert_eq!(union.value(1).as_string::<i32>().value(0), "\"");
}

#[test]
fn descriptors_that_are_no_commands_are_explained() {
    let check = |descriptor: FlightDescriptor, expected: &str| {
        let error = described(&descriptor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(expected), "{error}");
    };
    check(
        FlightDescriptor::new_path(vec!["a".to_owned()]),
        "CommandStatementIngest",
    );
    check(FlightDescriptor::new_cmd(""), "empty");
    check(FlightDescriptor::new_cmd("SELECT 1"), "Plain SQL text");
    check(FlightDescriptor::new_cmd("jetway"), "Plain SQL text");
    check(FlightDescriptor::default(), "no type");
    let cut = Any {
        type_url: CommandStatementQuery::type_url().to_owned(),
        value: "\u{1}".into(),
    };
    check(FlightDescriptor::new_cmd(cut.encode_to_vec()), "cannot be decoded");
}

#[test]
fn what_is_not_offered_is_named() {
    let unknown = Any {
        type_url: "type.example.com/some.Thing".to_owned(),
        value: Bytes::new(),
    };
    let error = Query::from_command(Command::Unknown(unknown)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    assert!(error.message().contains("type.example.com/some.Thing"));
    let update = Command::CommandStatementUpdate(Default::default());
    assert!(Query::from_command(update).err().unwrap().message().contains("DoPut"));
    assert!(
        not_offered::action("BeginTransaction")
            .message()
            .contains("BeginTransaction")
    );
    assert!(not_offered::action("\u{7}".repeat(1000).as_str()).message().len() < 2000);
    assert!(refuse_transaction(Some(&Bytes::from_static(b"t"))).is_err());
    assert!(refuse_transaction(Some(&Bytes::new())).is_ok());
}

fn ingest(not_exist: TableNotExistOption, exists: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: not_exist.into(),
            if_exists: exists.into(),
        }),
        table: "my_table".to_owned(),
        schema: Some("alice".to_owned()),
        ..CommandStatementIngest::default()
    }
}

#[test]
fn ingest_options() {
    let request = ingest::request(&ingest(TableNotExistOption::Create, TableExistsOption::Append)).unwrap();
    assert_eq!(
        (request.if_exists, request.if_not_exists),
        (IfExists::Append, IfNotExists::Create)
    );
    assert_eq!(request.table.to_string(), "alice/my-table");
    let request = ingest::request(&ingest(TableNotExistOption::Fail, TableExistsOption::Fail)).unwrap();
    assert_eq!(
        (request.if_exists, request.if_not_exists),
        (IfExists::Fail, IfNotExists::Fail)
    );

    let good = || ingest(TableNotExistOption::Fail, TableExistsOption::Append);
    let refused = [
        (
            ingest(TableNotExistOption::Create, TableExistsOption::Replace),
            ErrorKind::Unimplemented,
            "append-only",
        ),
        (
            CommandStatementIngest {
                temporary: true,
                ..good()
            },
            ErrorKind::Unimplemented,
            "temporary",
        ),
        (
            CommandStatementIngest {
                transaction_id: Some(Bytes::from_static(b"t")),
                ..good()
            },
            ErrorKind::Unimplemented,
            "transaction",
        ),
        (
            ingest(TableNotExistOption::Unspecified, TableExistsOption::Append),
            ErrorKind::InvalidArgument,
            "if_not_exist",
        ),
        (
            ingest(TableNotExistOption::Fail, TableExistsOption::Unspecified),
            ErrorKind::InvalidArgument,
            "if_exists",
        ),
        (
            CommandStatementIngest {
                table_definition_options: None,
                ..good()
            },
            ErrorKind::InvalidArgument,
            "table_definition_options",
        ),
        (
            CommandStatementIngest {
                options: [("speed".to_owned(), "9".to_owned())].into(),
                ..good()
            },
            ErrorKind::InvalidArgument,
            "speed",
        ),
    ];
    for (command, kind, expected) in refused {
        let error = ingest::request(&command).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains(expected), "{error}");
    }
}

/// The schemas of the Flight SQL specification, nullability and all.
#[test]
fn listings_have_the_schemas_of_the_specification() {
    let shown = |schema: SchemaRef| {
        let fields = schema.fields().iter();
        fields
            .map(|f| {
                format!(
                    "{}:{}{}",
                    f.name(),
                    f.data_type(),
                    if f.is_nullable() { "?" } else { "" }
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(catalogs::schema()), ["catalog_name:Utf8"]);
    assert_eq!(
        shown(db_schemas::schema()),
        ["catalog_name:Utf8?", "db_schema_name:Utf8"]
    );
    assert_eq!(shown(table_types::schema()), ["table_type:Utf8"]);
    let four = [
        "catalog_name:Utf8?",
        "db_schema_name:Utf8?",
        "table_name:Utf8",
        "table_type:Utf8",
    ];
    assert_eq!(shown(tables::schema(false)), four);
    assert_eq!(shown(tables::schema(true))[..4], four);
    assert_eq!(shown(tables::schema(true))[4], "table_schema:Binary");
    assert_eq!(catalogs::rows().unwrap().num_rows(), 1);
    assert_eq!(table_types::rows().unwrap().num_rows(), 2);
}
