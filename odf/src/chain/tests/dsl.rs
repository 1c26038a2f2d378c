//! Chains as text, so that a test is one line.
//!
//! A chain is a kind, `root` or `derivative`, and events, all separated by `|`. What an event says about earlier ones
//! (previous offset, previous checkpoint, where inputs stopped) is right unless the text says otherwise.
//!
//! ```text
//! add 0-9 wm=5 cp=a state=x     AddData: offsets 0 to 9, watermark on the 5th, checkpoint a, source state x
//! add prev=7 prevcp=b           ... with a wrong previous offset and checkpoint (`none`: without)
//! run A=h1/9 B 0-9 wm=5         ExecuteTransform: of A block h1 and offset 9 are new, of B nothing is; then as for add
//! run A<h0/3=h1/-               ... A continues after block h0 and offset 3; no new offset
//! transform A B                 SetTransform with these inputs; A! unresolved, A~ without alias
//! query last|alias|both...      a transform of input A whose SQL has this shape, see `shaped_sql`
//! schema city:str? n:i64        SetDataSchema: the system columns, then these; ? means optional
//! schema only offset:i64        ... these alone
//! legacy city:str?              SetDataSchema in the legacy form
//! schema-none, schema-both      SetDataSchema with neither or both forms
//! vocab o p s e                 SetVocab
//! push x sep=; sql=last ddl=1   AddPushSource
//! poll                          SetPollingSource; poll logs: Ethereum logs without chain and node
//! info x, license, attach x     SetInfo, SetLicense, SetAttachments
//! seed, disable-push, disable-poll
//! ```

use chrono::{DateTime, TimeDelta, Utc};

use crate::chain::{ChainState, Strictness};
use crate::error::Result;
use crate::identity::{DatasetId, Multihash};
use crate::metadata::*;

/// The moment that a number stands for.
pub(super) fn day(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(number)
}

pub(super) fn id(name: &str) -> DatasetId {
    DatasetId::seeded(name.as_bytes())
}

pub(super) fn hash(name: &str) -> Multihash {
    Multihash::sha3_256(name.as_bytes())
}

pub(super) fn seed(kind: &str) -> Seed {
    let dataset_kind = match kind {
        "root" => DatasetKind::Root,
        "derivative" => DatasetKind::Derivative,
        other => panic!("no such kind: {other}"),
    };
    Seed {
        dataset_id: id("dataset"),
        dataset_kind,
    }
}

/// The state at the start of a chain and the texts of its events.
pub(super) fn start(chain: &str) -> (ChainState, Vec<&str>) {
    let mut words = chain.split('|').map(str::trim);
    let seed = seed(words.next().unwrap());
    let block = MetadataBlock {
        system_time: day(0),
        prev_block_hash: None,
        sequence_number: 0,
        event: MetadataEvent::Seed(seed),
    };
    (ChainState::start(hash("block 0"), &block).unwrap(), words.collect())
}

/// The block that links the event to the state.
pub(super) fn next_block(state: &ChainState, event: MetadataEvent) -> MetadataBlock {
    MetadataBlock {
        system_time: state.system_time(),
        prev_block_hash: Some(state.head()),
        sequence_number: state.sequence_number() + 1,
        event,
    }
}

pub(super) fn apply(state: &mut ChainState, event: &str, strictness: Strictness) -> Result<()> {
    let block = next_block(state, parse(state, event));
    state.apply(hash(&format!("block {}", block.sequence_number)), &block, strictness)
}

/// The state of a chain without errors.
pub(super) fn state_of(chain: &str) -> ChainState {
    let (mut state, events) = start(chain);
    for event in events {
        apply(&mut state, event, Strictness::Append).unwrap_or_else(|error| panic!("{event}: {error}"));
    }
    state
}

/// One event after `state`.
pub(super) fn parse(state: &ChainState, text: &str) -> MetadataEvent {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest: Vec<&str> = rest.split_whitespace().collect();
    match word {
        "seed" => MetadataEvent::Seed(seed("root")),
        "add" => MetadataEvent::AddData(add(state, &rest)),
        "run" => MetadataEvent::ExecuteTransform(run(state, &rest)),
        "transform" => MetadataEvent::SetTransform(SetTransform {
            inputs: rest.iter().map(|name| input(name)).collect(),
            transform: shaped_sql("last"),
        }),
        "query" => MetadataEvent::SetTransform(SetTransform {
            inputs: vec![input("A")],
            transform: shaped_sql(rest[0]),
        }),
        "schema" => MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(schema(&rest)),
        }),
        "legacy" => MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: Some(legacy_schema(&rest)),
            schema: None,
        }),
        "schema-none" => MetadataEvent::SetDataSchema(SetDataSchema::default()),
        "schema-both" => MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: Some(legacy_schema(&rest)),
            schema: Some(schema(&rest)),
        }),
        "vocab" => {
            let name = |index: usize| rest.get(index).map(ToString::to_string);
            MetadataEvent::SetVocab(SetVocab {
                offset_column: name(0),
                operation_type_column: name(1),
                system_time_column: name(2),
                event_time_column: name(3),
            })
        }
        "push" => MetadataEvent::AddPushSource(AddPushSource {
            source_name: rest[0].to_owned(),
            read: read(&rest),
            preprocess: option(&rest, "sql").map(shaped_sql),
            merge: MergeStrategy::Append {},
        }),
        "poll" => MetadataEvent::SetPollingSource(SetPollingSource {
            fetch: match rest.first() {
                Some(&"logs") => logs(None, None),
                Some(&"chain") => logs(Some(1), None),
                Some(&"node") => logs(None, Some("wss://node.example".to_owned())),
                _ => FetchStep::FilesGlob {
                    path: "*.csv".to_owned(),
                    event_time: None,
                    cache: None,
                    order: None,
                },
            },
            prepare: None,
            read: read(&rest),
            preprocess: option(&rest, "sql").map(shaped_sql),
            merge: MergeStrategy::Append {},
        }),
        "info" => MetadataEvent::SetInfo(SetInfo {
            description: rest.first().map(ToString::to_string),
            keywords: None,
        }),
        "license" => MetadataEvent::SetLicense(SetLicense {
            short_name: "CC0".to_owned(),
            name: "Creative Commons Zero".to_owned(),
            spdx_id: Some("CC0-1.0".to_owned()),
            website_url: "https://creativecommons.org/publicdomain/zero/1.0/".to_owned(),
        }),
        "attach" => MetadataEvent::SetAttachments(SetAttachments {
            attachments: Attachments::Embedded(AttachmentsEmbedded {
                items: vec![AttachmentEmbedded {
                    path: "README.md".to_owned(),
                    content: rest.join(" "),
                }],
            }),
        }),
        "disable-push" => MetadataEvent::DisablePushSource(DisablePushSource {
            source_name: "x".to_owned(),
        }),
        "disable-poll" => MetadataEvent::DisablePollingSource(DisablePollingSource {}),
        other => panic!("no such event: {other}"),
    }
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// The value of `name=`, `none` meaning none, or else what is right.
fn or_right<T>(words: &[&str], name: &str, right: Option<T>, parse: impl Fn(&str) -> T) -> Option<T> {
    match option(words, name) {
        Some("none") => None,
        Some(value) => Some(parse(value)),
        None => right,
    }
}

fn number(text: &str) -> u64 {
    if text == "max" { u64::MAX } else { text.parse().unwrap() }
}

fn slice(words: &[&str]) -> Option<DataSlice> {
    let interval = words
        .iter()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()) || word.starts_with("max"))?;
    let (start, end) = interval.split_once('-').unwrap();
    Some(DataSlice {
        logical_hash: Multihash::arrow0_sha3_256(*hash(interval).digest()),
        physical_hash: hash(interval),
        offset_interval: OffsetInterval {
            start: number(start),
            end: number(end),
        },
        size: 100,
    })
}

fn checkpoint(words: &[&str]) -> Option<Checkpoint> {
    option(words, "cp").map(|name| Checkpoint {
        physical_hash: hash(name),
        size: 10,
    })
}

fn watermark(words: &[&str]) -> Option<DateTime<Utc>> {
    option(words, "wm").map(|number| day(number.parse().unwrap()))
}

fn add(state: &ChainState, words: &[&str]) -> AddData {
    let last_checkpoint = state
        .last_add
        .as_ref()
        .and_then(|last| last.checkpoint.as_ref())
        .map(|checkpoint| checkpoint.physical_hash);
    AddData {
        prev_checkpoint: or_right(words, "prevcp", last_checkpoint, hash),
        prev_offset: or_right(words, "prev", state.last_offset(), number),
        new_data: slice(words),
        new_checkpoint: checkpoint(words),
        new_watermark: watermark(words),
        new_source_state: option(words, "state").map(|value| SourceState {
            source_name: "default".to_owned(),
            kind: "odf/etag".to_owned(),
            value: value.to_owned(),
        }),
        extra: words.contains(&"extra").then(ExtraAttributes::default),
    }
}

fn run(state: &ChainState, words: &[&str]) -> ExecuteTransform {
    let last_checkpoint = state
        .last_execute
        .as_ref()
        .and_then(|last| last.checkpoint.as_ref())
        .map(|checkpoint| checkpoint.physical_hash);
    let is_input = |word: &&&str| word.starts_with(|first: char| first.is_ascii_uppercase());
    ExecuteTransform {
        query_inputs: words
            .iter()
            .filter(is_input)
            .map(|word| query_input(state, word))
            .collect(),
        prev_checkpoint: or_right(words, "prevcp", last_checkpoint, hash),
        prev_offset: or_right(words, "prev", state.last_offset(), number),
        new_data: slice(words),
        new_checkpoint: checkpoint(words),
        new_watermark: watermark(words),
    }
}

fn query_input(state: &ChainState, word: &str) -> ExecuteTransformInput {
    let (from, to) = word.split_once('=').map_or((word, None), |(from, to)| (from, Some(to)));
    let (name, from) = from
        .split_once('<')
        .map_or((from, None), |(name, from)| (name, Some(from)));
    let position = |text: &str| {
        let (block, offset) = text.split_once('/').unwrap();
        (
            (block != "-").then(|| hash(block)),
            (offset != "-").then(|| number(offset)),
        )
    };
    let dataset_id = id(name);
    let stopped = state
        .query_inputs()
        .and_then(|inputs| inputs.iter().find(|input| input.dataset_id == dataset_id));
    let stopped = stopped
        .map(|input| (input.last_block_hash(), input.last_offset()))
        .unwrap_or_default();
    let (prev_block_hash, prev_offset) = from.map_or(stopped, position);
    let (new_block_hash, new_offset) = to.map(position).unwrap_or_default();
    ExecuteTransformInput {
        dataset_id,
        prev_block_hash,
        new_block_hash,
        prev_offset,
        new_offset,
    }
}

fn input(word: &str) -> TransformInput {
    let name = word.trim_end_matches(['!', '~']);
    TransformInput {
        dataset_ref: if word.ends_with('!') {
            format!("example/{name}")
        } else {
            id(name).to_string()
        },
        alias: (!word.ends_with('~')).then(|| name.to_owned()),
    }
}

/// SQL of a given shape: `last` is right, and so is `steps`.
pub(super) fn shaped_sql(shape: &str) -> Transform {
    let step = |alias: Option<&str>| SqlQueryStep {
        alias: alias.map(str::to_owned),
        query: "select 1".to_owned(),
    };
    let short = Some("select 1".to_owned());
    let (query, queries) = match shape {
        "last" => (None, Some(vec![step(None)])),
        "steps" => (None, Some(vec![step(Some("a")), step(None)])),
        "short" => (short, None),
        "both" => (short, Some(vec![step(None)])),
        "neither" => (None, None),
        "empty" => (None, Some(Vec::new())),
        "named" => (None, Some(vec![step(Some("a")), step(Some("b"))])),
        "unnamed" => (None, Some(vec![step(None), step(None)])),
        other => panic!("no such shape: {other}"),
    };
    Transform::Sql(TransformSql {
        engine: "datafusion".to_owned(),
        version: None,
        query,
        queries,
        temporal_tables: None,
    })
}

fn read(words: &[&str]) -> ReadStep {
    ReadStep::Csv(ReadStepCsv {
        separator: option(words, "sep").map(str::to_owned),
        header: option(words, "header").map(|value| value == "1"),
        ddl_schema: option(words, "ddl").map(|_| vec!["n BIGINT".to_owned()]),
        schema: option(words, "columns").map(|column| DataSchema {
            fields: vec![field(column)],
            extra: None,
        }),
        ..ReadStepCsv::default()
    })
}

fn logs(chain_id: Option<u64>, node_url: Option<String>) -> FetchStep {
    FetchStep::EthereumLogs {
        chain_id,
        node_url,
        filter: None,
        signature: None,
    }
}

const SYSTEM_COLUMNS: [&str; 4] = ["offset:i64", "op:i32", "system_time:ts", "event_time:ts"];

pub(super) fn schema(words: &[&str]) -> DataSchema {
    let fields = match words.split_first() {
        Some((&"only", columns)) => columns.iter().map(|word| field(word)).collect(),
        _ => SYSTEM_COLUMNS.iter().chain(words).map(|word| field(word)).collect(),
    };
    DataSchema { fields, extra: None }
}

fn field(word: &str) -> DataField {
    let (name, kind) = word.split_once(':').unwrap();
    let (kind, is_optional) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let inner = match kind {
        "i64" => DataType::Int64,
        "u64" => DataType::UInt64,
        "i32" => DataType::Int32,
        "u8" => DataType::UInt8,
        "str" => DataType::String,
        "date" => DataType::Date,
        "ts" => DataType::Timestamp {
            unit: None,
            timezone: None,
        },
        "tsms" => DataType::Timestamp {
            unit: Some(TimeUnit::Millisecond),
            timezone: Some("UTC".to_owned()),
        },
        "tsus" => DataType::Timestamp {
            unit: Some(TimeUnit::Microsecond),
            timezone: None,
        },
        other => panic!("no such type: {other}"),
    };
    let r#type = if is_optional {
        DataType::Option { inner: Box::new(inner) }
    } else {
        inner
    };
    DataField {
        name: name.to_owned(),
        r#type,
        extra: None,
    }
}

/// A bare Arrow `Schema` flatbuffer, as old chains have it.
fn legacy_schema(words: &[&str]) -> Vec<u8> {
    use arrow::datatypes::{DataType as ArrowType, Field, Schema, TimeUnit as ArrowUnit};
    let fields = schema(words).fields.into_iter().map(|field| {
        let (inner, nullable) = if let DataType::Option { inner } = field.r#type {
            (*inner, true)
        } else {
            (field.r#type, false)
        };
        let arrow_type = match inner {
            DataType::Int64 => ArrowType::Int64,
            DataType::Int32 => ArrowType::Int32,
            DataType::String => ArrowType::Utf8,
            DataType::Timestamp { .. } => ArrowType::Timestamp(ArrowUnit::Millisecond, Some("UTC".into())),
            other => panic!("no legacy type for {other:?}"),
        };
        Field::new(field.name, arrow_type, nullable)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    arrow::ipc::convert::IpcSchemaEncoder::new()
        .schema_to_fb(&schema)
        .finished_data()
        .to_vec()
}
