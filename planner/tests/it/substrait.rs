//! Substrait plans: the answers of the SQL that they stand for, and refusals of all that is not a query over datasets.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use datafusion_substrait::serializer::{deserialize_bytes, serialize_bytes};
use datafusion_substrait::substrait::proto::read_rel::{LocalFiles, NamedTable, ReadType};
use datafusion_substrait::substrait::proto::rel::RelType;
use datafusion_substrait::substrait::proto::rel_common::{Emit, EmitKind};
use datafusion_substrait::substrait::proto::{
    ExchangeRel, ExtensionLeafRel, FetchRel, FilterRel, NamedStruct, Plan, PlanRel, ReadRel, Rel, RelCommon, Version,
    WriteRel, plan_rel, r#type,
};
use futures::TryStreamExt;
use jetway_planner::{
    Error, ErrorKind, PlanRequest, Query, Result, Statement, check_substrait_version, substrait_versions,
};
use prost::Message;

use crate::catalog::{Fixture, text};

/// A dataset with four rows, and an engine that knows a table like it, in which queries are made into plans.
struct Flights {
    fixture: Fixture,
    producer: SessionContext,
}

impl Flights {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        fixture.push("flights", vec![flights(1)]).await.unwrap();
        let schema = fixture.sql("SELECT * FROM flights").await.unwrap()[0].schema();
        Self {
            fixture,
            producer: producer(&schema),
        }
    }

    /// The plan of a query.
    async fn plan(&self, sql: &str) -> Vec<u8> {
        serialize_bytes(sql, &self.producer).await.unwrap()
    }

    fn request(&self, plan: Vec<u8>) -> PlanRequest {
        PlanRequest::new(&self.fixture.alice, Query::Substrait(plan.into()))
    }

    async fn statement(&self, plan: Vec<u8>) -> Result<Statement> {
        self.fixture.planner.plan_request(self.request(plan)).await
    }

    async fn rows(&self, plan: Vec<u8>) -> Result<Vec<String>> {
        let statement = self.statement(plan).await?;
        let batches: Vec<RecordBatch> = statement.execute().await?.try_collect().await?;
        for batch in &batches {
            assert_eq!(batch.schema(), statement.schema());
        }
        Ok(text(&batches))
    }

    async fn refused(&self, plan: Vec<u8>) -> Error {
        self.rows(plan).await.unwrap_err()
    }
}

fn flights(first: i64) -> RecordBatch {
    let ids = Int64Array::from_iter_values(first..first + 4);
    let carriers = StringArray::from(vec![Some("delta"), Some("united"), None, Some("delta")]);
    let delays = Float64Array::from(vec![Some(1.5), Some(-2.0), Some(7.0), None]);
    let fares = Decimal128Array::from(vec![9_99, 120_00, 5_50, 80_00]).with_precision_and_scale(9, 2);
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(ids)),
        ("carrier", Arc::new(carriers)),
        ("delay", Arc::new(delays)),
        ("fare", Arc::new(fares.unwrap())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn producer(schema: &Arc<Schema>) -> SessionContext {
    let context = SessionContext::new();
    let table = MemTable::try_new(Arc::clone(schema), vec![vec![]]).unwrap();
    context.register_table("flights", Arc::new(table)).unwrap();
    context
}

const QUERIES: &[&str] = &[
    "SELECT id, carrier FROM flights WHERE id > 1 ORDER BY id",
    "SELECT carrier, count(*) AS n, avg(delay) AS late, sum(fare) AS paid FROM flights GROUP BY carrier ORDER BY carrier",
    "SELECT a.id, b.id AS other FROM flights a JOIN flights b ON a.carrier = b.carrier AND a.id < b.id ORDER BY 1, 2",
    "SELECT a.id, b.delay FROM flights a LEFT JOIN flights b ON a.id + 1 = b.id ORDER BY 1",
    "SELECT DISTINCT carrier FROM flights ORDER BY carrier LIMIT 1 OFFSET 1",
    "SELECT id FROM flights WHERE carrier IN (SELECT carrier FROM flights WHERE delay > 1) ORDER BY id",
    "SELECT id FROM flights a WHERE EXISTS (SELECT 1 FROM flights b WHERE b.id = a.id + 2) ORDER BY id",
    "SELECT id, rank() OVER (PARTITION BY carrier ORDER BY id DESC) AS place FROM flights ORDER BY id",
    "SELECT id FROM flights WHERE id < 2 UNION ALL SELECT id FROM flights WHERE id > 2 ORDER BY id",
    "SELECT CASE WHEN delay > 5 THEN upper(coalesce(carrier, 'none')) ELSE substr(carrier, 1, 1) END AS c FROM flights ORDER BY id",
    "SELECT id, fare * 2 AS twice, CAST(fare AS BIGINT) AS whole FROM flights WHERE fare BETWEEN 6 AND 100 ORDER BY id",
    "SELECT max(event_time) = min(event_time) AS at_once, min(\"offset\") AS first FROM flights",
    "SELECT carrier LIKE 'd%' AS d, carrier IS NULL AS none FROM flights ORDER BY id",
    "SELECT 1 + 1 AS two, DATE '2024-02-29' AS day, TIMESTAMP '1969-07-20T20:17:40' AS at",
    "SELECT n, s FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s) ORDER BY n",
];

#[tokio::test]
async fn plans_have_the_answers_of_the_queries_that_they_were_made_of() {
    let flights = Flights::new().await;
    for sql in QUERIES {
        let expected = flights.fixture.rows(sql).await;
        let plan = flights.plan(sql).await;
        let statement = flights.statement(plan.clone()).await.unwrap();
        let names: Vec<String> = statement
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let wanted = flights
            .fixture
            .planner
            .plan(&flights.fixture.alice, sql, None)
            .await
            .unwrap();
        let wanted: Vec<String> = wanted
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, wanted, "{sql}");
        assert_eq!(flights.rows(plan).await.unwrap(), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_plan_is_read_at_the_heads_that_it_was_planned_at() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT count(*) AS n FROM flights").await;
    let statement = flights.statement(plan.clone()).await.unwrap();
    assert_eq!(statement.pins().len(), 1);
    assert!(statement.is_repeatable());
    flights.fixture.push("flights", vec![self::flights(5)]).await.unwrap();
    let again = flights.request(plan.clone()).with_pins(statement.pins().to_vec());
    let again = flights.fixture.planner.plan_request(again).await.unwrap();
    let then: Vec<RecordBatch> = again.execute().await.unwrap().try_collect().await.unwrap();
    assert_eq!(text(&then), ["4"]);
    assert_eq!(flights.rows(plan).await.unwrap(), ["8"]);
}

#[tokio::test]
async fn names_are_looked_up_as_those_of_a_text() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT count(*) AS n FROM flights").await;
    for (names, rows) in [
        (vec!["flights"], "4"),
        (vec!["Flights"], "4"),
        (vec!["alice", "flights"], "4"),
        (vec!["jetway", "alice", "flights"], "4"),
    ] {
        assert_eq!(flights.rows(renamed(&plan, &names)).await.unwrap(), [rows], "{names:?}");
    }
    for (names, kind, words) in [
        (
            vec!["flihgts"],
            ErrorKind::NotFound,
            "did you mean \"alice\".\"flights\"",
        ),
        (vec!["other", "flights"], ErrorKind::NotFound, "other/flights"),
        (vec!["elsewhere", "alice", "flights"], ErrorKind::NotFound, "elsewhere"),
        (vec!["/etc/passwd"], ErrorKind::InvalidArgument, "name"),
        (vec!["generate_series"], ErrorKind::NotFound, "generate_series"),
        (
            vec!["a", "b", "c", "d"],
            ErrorKind::InvalidArgument,
            "one to three names",
        ),
        (vec![], ErrorKind::InvalidArgument, "one to three names"),
    ] {
        let error = flights.refused(renamed(&plan, &names)).await;
        assert_eq!(error.kind(), kind, "{names:?}: {error}");
        assert!(error.to_string().contains(words), "{names:?}: {error}");
    }
}

#[tokio::test]
async fn the_tables_of_the_node_can_be_read() {
    let flights = Flights::new().await;
    let schema = flights.fixture.sql("SELECT * FROM system.datasets").await.unwrap()[0].schema();
    let context = producer(&schema);
    let plan = serialize_bytes("SELECT count(*) AS n FROM flights", &context)
        .await
        .unwrap();
    assert_eq!(
        flights.rows(renamed(&plan, &["system", "datasets"])).await.unwrap(),
        ["1"]
    );
    let schema = flights
        .fixture
        .sql("SELECT * FROM information_schema.schemata")
        .await
        .unwrap()[0]
        .schema();
    let plan = serialize_bytes("SELECT schema_name FROM flights ORDER BY 1", &producer(&schema))
        .await
        .unwrap();
    let found = flights
        .rows(renamed(&plan, &["information_schema", "schemata"]))
        .await
        .unwrap();
    assert_eq!(
        found,
        flights
            .fixture
            .rows("SELECT schema_name FROM information_schema.schemata ORDER BY 1")
            .await
    );
}

/// A filter in a read relation decides, other than the hint that scans take it for, and a mask chooses columns.
#[tokio::test]
async fn filters_and_masks_of_a_read_relation_apply() {
    let flights = Flights::new().await;
    let plan = flights
        .plan("SELECT * FROM (SELECT id, carrier FROM flights) WHERE id > 2")
        .await;
    let moved = changed(&plan, &mut |rel| {
        let Some(RelType::Filter(filter)) = &rel.rel_type else {
            return;
        };
        let FilterRel { input, condition, .. } = filter.as_ref().clone();
        let mut input = *input.unwrap();
        if let Some(RelType::Read(read)) = &mut input.rel_type {
            read.filter = condition;
            *rel = input;
        }
    });
    assert_ne!(moved, plan, "the plan has its filter over the table");
    assert_eq!(flights.rows(plan).await.unwrap(), ["3 null", "4 delta"]);
    // In the read relation, the first column is the first one of the table, which is the offset.
    assert_eq!(flights.rows(moved).await.unwrap(), ["4 delta"]);
}

#[tokio::test]
async fn parameters_are_typed_and_bound() {
    let flights = Flights::new().await;
    let plan = flights
        .plan("SELECT id FROM flights WHERE id > $1 AND carrier = $2")
        .await;
    let prepared = flights
        .fixture
        .planner
        .prepare(flights.request(plan.clone()))
        .await
        .unwrap();
    let types: Vec<&DataType> = prepared
        .parameters
        .fields()
        .iter()
        .map(|field| field.data_type())
        .collect();
    assert_eq!(types, [&DataType::Int64, &DataType::Utf8]);
    assert_eq!(prepared.schema.unwrap().field(0).name(), "id");
    let error = flights.refused(plan.clone()).await;
    assert_eq!(
        (error.kind(), error.message().contains("2 parameters")),
        (ErrorKind::InvalidArgument, true),
        "{error}"
    );
    let values: [(&str, ArrayRef); 2] = [
        ("1", Arc::new(Int64Array::from(vec![1]))),
        ("2", Arc::new(StringArray::from(vec!["delta"]))),
    ];
    let values = RecordBatch::try_from_iter(values).unwrap();
    let bound = flights.request(plan).with_parameters(Some(values));
    let statement = flights.fixture.planner.plan_request(bound).await.unwrap();
    let rows: Vec<RecordBatch> = statement.execute().await.unwrap().try_collect().await.unwrap();
    assert_eq!(text(&rows), ["4"]);
}

#[tokio::test]
async fn a_plan_is_no_update() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT id FROM flights").await;
    assert!(
        flights
            .fixture
            .planner
            .plan_update(flights.request(plan.clone()))
            .await
            .unwrap()
            .is_none()
    );
    let error = flights
        .fixture
        .planner
        .update(flights.request(plan), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn what_does_more_than_read_datasets_is_refused() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT id FROM flights").await;
    let instead = |rel: RelType| {
        let mut rel = Some(rel);
        changed(&plan, &mut |found| {
            if matches!(found.rel_type, Some(RelType::Read(_))) {
                found.rel_type = rel.take();
            }
        })
    };
    let schema = Some(NamedStruct::default());
    let files = ReadType::LocalFiles(LocalFiles::default());
    for (plan, words) in [
        (
            instead(RelType::Write(Box::new(WriteRel::default()))),
            "plans only read",
        ),
        (
            instead(RelType::ExtensionLeaf(ExtensionLeafRel::default())),
            "extensions",
        ),
        (instead(RelType::Exchange(Box::new(ExchangeRel::default()))), "exchange"),
        (
            instead(RelType::Read(Box::new(ReadRel {
                base_schema: schema,
                read_type: Some(files),
                ..ReadRel::default()
            }))),
            "no files",
        ),
        (
            with(&plan, |plan| plan.relations.push(plan.relations[0].clone())),
            "2 trees",
        ),
        (with(&plan, |plan| plan.relations.clear()), "0 trees"),
        (with(&plan, |plan| plan.version = Some(version(0, 9999))), "0.9999"),
        (with(&plan, |plan| plan.version = Some(version(1, 0))), "1.0"),
    ] {
        let error = flights.refused(plan).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn plans_that_are_malformed_or_too_large_are_the_senders_mistake() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT id FROM flights").await;
    let mut deep = deserialize_bytes(&plan).unwrap();
    for _ in 0..200 {
        let input = std::mem::take(root(&mut deep));
        let filter = FilterRel {
            input: Some(Box::new(input)),
            ..FilterRel::default()
        };
        root(&mut deep).rel_type = Some(RelType::Filter(Box::new(filter)));
    }
    let wide = changed(&plan, &mut |rel| {
        if let Some(RelType::Read(read)) = &mut rel.rel_type {
            let emit = EmitKind::Emit(Emit {
                output_mapping: vec![0; 100_000],
            });
            read.common = Some(RelCommon {
                emit_kind: Some(emit),
                ..RelCommon::default()
            });
        }
    });
    let out_of_range = changed(&plan, &mut |rel| {
        if let Some(RelType::Read(read)) = &mut rel.rel_type {
            let emit = EmitKind::Emit(Emit {
                output_mapping: vec![99, -1],
            });
            read.common = Some(RelCommon {
                emit_kind: Some(emit),
                ..RelCommon::default()
            });
        }
    });
    for (plan, kind, words) in [
        (b"SELECT 1".to_vec(), ErrorKind::InvalidArgument, "no Substrait plan"),
        (deep.encode_to_vec(), ErrorKind::InvalidArgument, "too deep"),
        (wide, ErrorKind::ResourceExhausted, "2000 columns"),
        (vec![0; 2 << 20], ErrorKind::ResourceExhausted, "bytes"),
        (out_of_range, ErrorKind::InvalidArgument, "99"),
        (
            with(&plan, require),
            ErrorKind::InvalidArgument,
            "'id' is nullable in the dataset",
        ),
        (
            with(&plan, |plan| *root(plan) = Rel::default()),
            ErrorKind::InvalidArgument,
            "rel_type",
        ),
        (
            with(&plan, |plan| plan.relations = vec![PlanRel::default()]),
            ErrorKind::InvalidArgument,
            "empty",
        ),
    ] {
        let error = flights.refused(plan).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

/// As deep as plans may be: they are planned and run without running out of stack.
#[tokio::test]
async fn deep_plans_run() {
    let flights = Flights::new().await;
    let plan = flights.plan("SELECT id FROM flights ORDER BY id").await;
    let nested = |levels: usize| {
        with(&plan, |plan| {
            for _ in 0..levels {
                let input = std::mem::take(root(plan));
                let fetch = FetchRel {
                    input: Some(Box::new(input)),
                    ..FetchRel::default()
                };
                root(plan).rel_type = Some(RelType::Fetch(Box::new(fetch)));
            }
        })
    };
    let mut deepest = 0;
    for levels in [10, 30, 40, 44, 45, 46, 47, 48, 49, 50] {
        match flights.rows(nested(levels)).await {
            Ok(rows) => {
                assert_eq!(rows, ["1", "2", "3", "4"]);
                deepest = levels;
            }
            Err(error) => assert!(error.message().contains("too deep"), "{error}"),
        }
    }
    assert!(deepest >= 40, "{deepest}");
}

/// Foreign bytes: whatever a plan is changed to, it is refused as a mistake or it runs; nothing is a fault of the node.
#[tokio::test]
async fn damaged_plans_are_never_a_fault_of_the_node() {
    let flights = Flights::new().await;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as usize % below
    };
    let (mut refused, mut ran) = (0, 0);
    for sql in QUERIES {
        let plan = flights.plan(sql).await;
        for _ in 0..40 {
            let mut damaged = plan.clone();
            for _ in 0..=next(2) {
                let at = next(damaged.len());
                match next(4) {
                    0 => damaged[at] = next(256) as u8,
                    1 => damaged[at] = damaged[at].wrapping_add(1),
                    2 => drop(damaged.remove(at)),
                    _ => damaged[at] ^= 1 << next(8),
                }
            }
            match flights.rows(damaged.clone()).await {
                Ok(_) => ran += 1,
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{sql}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100 && ran > 20, "{refused} refused, {ran} ran");
}

#[test]
fn versions_are_checked() {
    let [oldest, newest] = substrait_versions();
    for version in [oldest.as_str(), newest.as_str(), "0.85.0-rc1"] {
        check_substrait_version(version).unwrap();
    }
    assert_eq!(
        check_substrait_version("0.1.0").unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        check_substrait_version("new").unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}

/// Says that no column of the table holds nulls.
fn require(plan: &mut Plan) {
    let mut rel = root(plan);
    loop {
        match rel.rel_type.as_mut().unwrap() {
            RelType::Project(project) => rel = project.input.as_mut().unwrap(),
            RelType::Read(read) => {
                let columns = read.base_schema.as_mut().unwrap().r#struct.as_mut().unwrap();
                for column in &mut columns.types {
                    if let Some(r#type::Kind::I64(integer)) = &mut column.kind {
                        integer.nullability = r#type::Nullability::Required.into();
                    }
                }
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn version(major_number: u32, minor_number: u32) -> Version {
    Version {
        major_number,
        minor_number,
        ..Version::default()
    }
}

fn with(plan: &[u8], change: impl FnOnce(&mut Plan)) -> Vec<u8> {
    let mut plan = deserialize_bytes(plan).unwrap();
    change(&mut plan);
    plan.encode_to_vec()
}

fn root(plan: &mut Plan) -> &mut Rel {
    match plan.relations[0].rel_type.as_mut().unwrap() {
        plan_rel::RelType::Root(root) => root.input.as_mut().unwrap(),
        plan_rel::RelType::Rel(rel) => rel,
    }
}

/// The plan with its relations changed, from the outermost to the table.
fn changed(plan: &[u8], change: &mut impl FnMut(&mut Rel)) -> Vec<u8> {
    with(plan, |plan| {
        let mut rel = root(plan);
        loop {
            change(rel);
            let input = match rel.rel_type.as_mut() {
                Some(RelType::Filter(filter)) => filter.input.as_mut(),
                Some(RelType::Project(project)) => project.input.as_mut(),
                Some(RelType::Aggregate(aggregate)) => aggregate.input.as_mut(),
                Some(RelType::Sort(sort)) => sort.input.as_mut(),
                _ => None,
            };
            match input {
                Some(input) => rel = input,
                None => break,
            }
        }
    })
}

fn renamed(plan: &[u8], names: &[&str]) -> Vec<u8> {
    changed(plan, &mut |rel| {
        if let Some(RelType::Read(read)) = &mut rel.rel_type {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            read.read_type = Some(ReadType::NamedTable(NamedTable {
                names,
                ..NamedTable::default()
            }));
        }
    })
}
