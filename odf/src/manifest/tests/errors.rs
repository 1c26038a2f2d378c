//! What is wrong with a manifest, and where.

use crate::ErrorKind;
use crate::manifest::read_manifests;

/// Text, kind of error, and the error as it is shown.
#[rustfmt::skip]
const REFUSED: [(&str, ErrorKind, &str); 27] = [
    ("", ErrorKind::Malformed, "there is no manifest in the text; one starts with `kind: DatasetSnapshot`, `version: 1` and `content:`"),
    ("---\n---\n# nothing\n", ErrorKind::Malformed, "there is no manifest in the text; one starts with `kind: DatasetSnapshot`, `version: 1` and `content:`"),
    ("hello\n", ErrorKind::Malformed, "invalid type: string \"hello\", expected struct Envelope (document: 1, line: 1, column: 1)"),
    ("name: x\n", ErrorKind::Malformed, "unknown property `name`; allowed: kind, version, content (document: 1, line: 1, column: 1, path: name)"),
    ("version: 1\ncontent: {}\n", ErrorKind::Malformed, "the property `kind` is missing; allowed: DatasetSnapshot, MetadataEvent, MetadataBlock (document: 1, line: 1, column: 1)"),
    ("kind: Dataset\nversion: 1\ncontent: {}\n", ErrorKind::Malformed, "unknown kind `Dataset`; allowed: DatasetSnapshot, MetadataEvent, MetadataBlock (document: 1, line: 1, column: 7, path: kind)"),
    ("kind: datasetSnapshot\nversion: 2\ncontent: {}\n", ErrorKind::Unsupported, "the version of such a manifest must be 1, but is 2 (document: 1, line: 2, column: 10, path: version)"),
    ("kind: MetadataBlock\nversion: 4\ncontent: {}\n", ErrorKind::Unsupported, "the block has a newer version than this program knows; update the program (version: 4, document: 1, line: 2, column: 10, path: version)"),
    ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: x\n  kind: Leaf\n  metadata: []\n", ErrorKind::Malformed, "unknown kind `Leaf`; allowed: Root, Derivative (document: 1, line: 5, column: 9, path: content.kind)"),
    ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: a_b\n  kind: Root\n  metadata: []\n", ErrorKind::Malformed, "not a valid dataset name: a name is made of ASCII letters and digits in groups joined by '-' or '.', at most 100 characters (name: a_b) (document: 1, line: 4, column: 9, path: content.name)"),
    ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: x\n  metadata: []\n", ErrorKind::Malformed, "the property `kind` is missing; allowed: Root, Derivative (document: 1, line: 4, column: 3, path: content)"),
    // The second document is empty, and counts.
    ("kind: MetadataEvent\nversion: 1\ncontent: {kind: SetInfo}\n---\n---\nkind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetInfo\n  desc: x\n", ErrorKind::Malformed, "unknown property `desc`; allowed: description, keywords (document: 3, line: 10, column: 3, path: content.desc)"),
    // The kind may come last, and what is wrong is far inside.
    ("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: x\n  kind: Root\n  metadata:\n  - kind: SetVocab\n  - sourceName: default\n    read:\n      header: yes please\n      kind: Csv\n    merge: Append\n    kind: AddPushSource\n", ErrorKind::Malformed, "invalid type: string \"yes please\", expected a boolean (document: 1, line: 10, column: 15, path: content.metadata[1].read.header)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddPushSource\n  sourceName: default\n  read:\n    kind: Csv\n    ddl_schema: []\n  merge: Append\n", ErrorKind::Malformed, "unknown property `ddl_schema`; allowed: ddlSchema, separator, encoding, quote, escape, header, inferSchema, nullValue, dateFormat, timestampFormat, schema (document: 1, line: 8, column: 5, path: content.read.ddl_schema)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddPushSource\n  sourceName: default\n  read:\n    kind: Csv\n    schema:\n    - id INT\n  merge: Append\n", ErrorKind::Malformed, "invalid type: string \"id INT\", expected a sequence; columns written as SQL belong into `ddlSchema` (document: 1, line: 9, column: 7, path: content.read.schema[0])"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddPushSource\n  sourceName: default\n  read: {kind: Csv}\n  merge:\n    primaryKey: [a]\n", ErrorKind::Malformed, "the property `kind` is missing; allowed: Append, Ledger, Snapshot, ChangelogStream, UpsertStream (document: 1, line: 8, column: 5, path: content.merge)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddPushSource\n  sourceName: default\n  read: {kind: Csv}\n  merge: {kind: Ledger}\n", ErrorKind::Malformed, "the property `primaryKey` is missing (document: 1, line: 7, column: 10, path: content.merge)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddPushSource\n  sourceName: default\n  read: {kind: Csv}\n", ErrorKind::Malformed, "the property `merge` is missing (document: 1, line: 4, column: 3, path: content)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetDataSchema\n  schema:\n    fields:\n    - {name: a, type: {kind: List, itemType: {kind: Option, inner: Text}}}\n", ErrorKind::Malformed, "unknown value `Text`; allowed: Binary, Bool, Date, Decimal, Duration, Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, List, Map, Null, Option, Struct, Time, Timestamp, String (document: 1, line: 7, column: 68, path: content.schema.fields[0].type.itemType.inner)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetDataSchema\n  schema:\n    fields:\n    - {name: a, type: {kind: Bool, unit: Second}}\n", ErrorKind::Malformed, "unknown property `unit`; there are none beside `kind` (document: 1, line: 7, column: 36, path: content.schema.fields[0].type.unit)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetDataSchema\n", ErrorKind::Malformed, "SetDataSchema must have either `schema` or `rawArrowSchema`, and not both (document: 1, line: 4, column: 3, path: content)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: AddData\n  newData:\n    logicalHash: f9680c00120616f4e694e967c88e8cfbd9a68a15ee7bcd16e4e9992f2cde1bd5a66f016a993\n    physicalHash: f1620\n    offsetInterval: {start: 0, end: 1}\n    size: 1\n", ErrorKind::Malformed, "the digest of a multihash must be 32 bytes long (length: 32) (document: 1, line: 7, column: 19, path: content.newData.physicalHash)"),
    ("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetTransform\n  inputs: [[a, b]]\n  transform: {kind: Sql, engine: datafusion, query: select 1}\n", ErrorKind::Malformed, "a list stands where an object with named properties is expected (document: 1, line: 5, column: 12, path: content.inputs[0])"),
    ("kind: MetadataEvent\nversion: 1\ncontent: {kind: SetInfo, kind: SetInfo}\n", ErrorKind::Malformed, "the text is not YAML (document: 1, line: 3, column: 10)"),
    ("kind: MetadataEvent\nversion: 1\ncontent: {kind: SetInfo, 7: x}\n", ErrorKind::Malformed, "names of properties must be text; put them in quotes (document: 1, line: 3, column: 10, path: content)"),
    ("kind: MetadataEvent\nversion: 1\ncontent: !SetInfo {}\n", ErrorKind::Malformed, "YAML tags such as !SetInfo have no meaning here; leave it out (document: 1, line: 3, column: 10, path: content)"),
    ("kind: MetadataEvent\nversion: 1\n content: {}\n", ErrorKind::Malformed, "the text is not YAML (document: 1, line: 3, column: 9)"),
];

#[test]
fn errors_say_what_is_wrong_where_and_what_is_allowed() {
    let mut wrong = Vec::new();
    for (text, kind, expected) in REFUSED {
        let error = read_manifests(text).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        if !error.to_string().starts_with(expected) {
            wrong.push(format!("{text}\nexpected {expected}\nfound    {error}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faults_are_found_in_long_lists() {
    let fields: String = (0..5_000)
        .map(|index| format!("    - {{name: c{index}, type: Int64}}\n"))
        .collect();
    let text = format!(
        "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetDataSchema\n  schema:\n    fields:\n{fields}    - {{name: last, typ: Int64}}\n"
    );
    let error = read_manifests(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown property `typ`; allowed: name, type, extra (document: 1, line: 5007, column: 20, path: content.schema.fields[5000].typ)"
    );
}

#[test]
fn texts_that_only_want_to_be_expensive_are_refused() {
    let deep = |depth| {
        format!(
            "kind: MetadataEvent\nversion: 1\ncontent: {}{}\n",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let error = read_manifests(&deep(200)).unwrap_err().to_string();
    assert_eq!(error, "the text is not YAML (document: 1, line: 3, column: 137)");
    assert_eq!(
        read_manifests(&deep(100_000)).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(read_manifests(&laughs).is_err());
    assert_eq!(
        read_manifests(&" ".repeat(17 << 20)).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}
