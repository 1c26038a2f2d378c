use arrow::array::AsArray;
use arrow::datatypes::UInt32Type;
use arrow_flight::sql::{
    CommandStatementIngest, CommandStatementQuery, ProstMessageExt, SqlInfo, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use jetway_planner::{FunctionNames, IfExists, IfNotExists};

use super::*;
use crate::{ErrorKind, FlightOptions, TicketKey};

/// Trap 12.
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
        assert_eq!(
            pattern::Pattern::new(pattern).matches(name),
            expected,
            "{pattern} on {name}"
        );
    }
    // Many wildcards take no exponential time.
    assert!(!pattern::Pattern::new(&"%a".repeat(50)).matches(&"b".repeat(5000)));
    for (pattern, literal) in [
        ("Alice", Some("alice")),
        (r"my\_table", Some("my_table")),
        ("al_ce", None),
        ("%", None),
    ] {
        assert_eq!(
            pattern::Pattern::new(pattern).literal().as_deref(),
            literal,
            "{pattern}"
        );
    }
}

/// Trap 12.
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

/// Trap 17: every code is answered, and all when none is asked for.
#[test]
fn sql_info_answers_each_code_and_all() {
    let functions = || FunctionNames {
        numeric: vec!["abs".to_owned()],
        ..FunctionNames::default()
    };
    let options = options();
    let rows = |command: &CommandGetSqlInfo| {
        let node = sql_info::Node {
            options: &options,
            functions: functions(),
            reserved: Vec::new(),
            transactions: true,
        };
        sql_info::rows(node, command).unwrap()
    };
    let all = rows(&CommandGetSqlInfo::default());
    let codes: Vec<u32> = all.column(0).as_primitive::<UInt32Type>().values().to_vec();
    let defined: Vec<u32> = (0..=2000)
        .filter(|&code| SqlInfo::try_from(code).is_ok())
        .map(|code| code as u32)
        .collect();
    assert_eq!(codes, defined);
    let some = CommandGetSqlInfo {
        info: vec![504, 0, 999_999],
    };
    let some = rows(&some);
    assert_eq!(some.schema(), sql_info::schema());
    assert_eq!(some.column(0).as_primitive::<UInt32Type>().values(), &[0, 504]);
    let union = some.column(1).as_union();
    assert_eq!(union.value(0).as_string::<i32>().value(0), "Jetway");
    assert_eq!(union.value(1).as_string::<i32>().value(0), "\"");
    let numeric = CommandGetSqlInfo { info: vec![509] };
    let list = rows(&numeric).column(1).as_union().value(0);
    assert_eq!(list.as_list::<i32>().value(0).as_string::<i32>().value(0), "abs");
    let map = rows(&CommandGetSqlInfo { info: vec![517] })
        .column(1)
        .as_union()
        .value(0);
    assert_eq!(map.as_map().value_length(0) as usize, sql_info::conversions().len());
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
        not_offered::action("BeginSavepoint")
            .message()
            .contains("BeginSavepoint")
    );
    assert!(not_offered::action("\u{7}".repeat(1000).as_str()).message().len() < 2000);
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
            CommandStatementIngest {
                temporary: true,
                ..good()
            },
            ErrorKind::Unimplemented,
            "temporary",
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
// Trap 2: result schemas of metadata commands are those of the specification.
#[test]
fn listings_have_the_schemas_of_the_specification() {
    let shown = |schema: SchemaRef| {
        let column = |field: &arrow::datatypes::FieldRef| {
            let null = if field.is_nullable() { "" } else { " not null" };
            format!("{}: {}{null}", field.name(), field.data_type())
        };
        schema.fields().iter().map(column).collect::<Vec<_>>().join("\n")
    };
    let foreign = "pk_catalog_name: Utf8\npk_db_schema_name: Utf8\npk_table_name: Utf8 not null\n\
        pk_column_name: Utf8 not null\nfk_catalog_name: Utf8\nfk_db_schema_name: Utf8\nfk_table_name: Utf8 not null\n\
        fk_column_name: Utf8 not null\nkey_sequence: Int32 not null\nfk_key_name: Utf8\npk_key_name: Utf8\n\
        update_rule: UInt8 not null\ndelete_rule: UInt8 not null";
    let tables = |include_schema| {
        Listing::Tables(CommandGetTables {
            include_schema,
            ..CommandGetTables::default()
        })
    };
    let expected = [
        (Listing::Catalogs, "catalog_name: Utf8 not null"),
        (
            Listing::DbSchemas(Default::default()),
            "catalog_name: Utf8\ndb_schema_name: Utf8 not null",
        ),
        (
            tables(false),
            "catalog_name: Utf8\ndb_schema_name: Utf8\ntable_name: Utf8 not null\ntable_type: Utf8 not null",
        ),
        // Trap 3: five columns with schemas, four without.
        (
            tables(true),
            "catalog_name: Utf8\ndb_schema_name: Utf8\ntable_name: Utf8 not null\ntable_type: Utf8 not null\n\
             table_schema: Binary not null",
        ),
        (Listing::TableTypes, "table_type: Utf8 not null"),
        (
            Listing::PrimaryKeys(Default::default()),
            "catalog_name: Utf8\ndb_schema_name: Utf8\ntable_name: Utf8 not null\ncolumn_name: Utf8 not null\n\
             key_name: Utf8\nkey_sequence: Int32 not null",
        ),
        (Listing::ExportedKeys(Default::default()), foreign),
        (Listing::ImportedKeys(Default::default()), foreign),
        (Listing::CrossReference(Default::default()), foreign),
        (
            Listing::XdbcTypeInfo(Default::default()),
            "type_name: Utf8 not null\ndata_type: Int32 not null\ncolumn_size: Int32\nliteral_prefix: Utf8\n\
             literal_suffix: Utf8\ncreate_params: List(non-null Utf8)\nnullable: Int32 not null\n\
             case_sensitive: Boolean not null\nsearchable: Int32 not null\nunsigned_attribute: Boolean\n\
             fixed_prec_scale: Boolean not null\nauto_increment: Boolean\nlocal_type_name: Utf8\nminimum_scale: Int32\n\
             maximum_scale: Int32\nsql_data_type: Int32 not null\ndatetime_subcode: Int32\nnum_prec_radix: Int32\n\
             interval_precision: Int32",
        ),
    ];
    for (listing, columns) in expected {
        assert_eq!(shown(listing.schema()), columns, "{}", listing.name());
    }
    let info = sql_info::schema();
    assert!(matches!(info.field(0).data_type(), arrow::datatypes::DataType::UInt32));
    assert!(matches!(
        info.field(1).data_type(),
        arrow::datatypes::DataType::Union(_, arrow::datatypes::UnionMode::Dense)
    ));
    assert!(info.fields().iter().all(|field| !field.is_nullable()));
    assert_eq!(catalogs::rows().unwrap().num_rows(), 1);
    assert_eq!(table_types::rows().unwrap().num_rows(), 3);
}

/// Trap 14: the list of types, which Power BI cannot do without.
#[test]
fn types_are_listed_by_code_and_name() {
    let all = xdbc_type_info::rows(&CommandGetXdbcTypeInfo::default()).unwrap();
    let names = all.column(0).as_string::<i32>();
    let codes = all.column(1).as_primitive::<arrow::datatypes::Int32Type>();
    let rows: Vec<(i32, &str)> = codes.values().iter().copied().zip(names.iter().flatten()).collect();
    assert!(rows.is_sorted());
    assert_eq!(rows.len(), xdbc_type_info::types().len());
    let timestamps = xdbc_type_info::rows(&CommandGetXdbcTypeInfo { data_type: Some(93) }).unwrap();
    let names: Vec<_> = timestamps.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]);
    assert_eq!(timestamps.schema(), xdbc_type_info::schema());
    assert_eq!(
        xdbc_type_info::rows(&CommandGetXdbcTypeInfo { data_type: Some(4711) })
            .unwrap()
            .num_rows(),
        0
    );
}
