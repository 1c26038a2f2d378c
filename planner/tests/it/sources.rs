//! Rows through the sources of datasets: files of another implementation give its events, and keys make pushes safe to repeat.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use chrono::{DateTime, Duration, Utc};
use futures::stream;
use jetway_odf::identity::DatasetId;
use jetway_odf::manifest::read_manifests;
use jetway_odf::metadata::MetadataEvent;
use jetway_planner::{
    BatchStream, DatasetCatalog, ErrorKind, IdempotencyKey, IfExists, IfNotExists, IngestOutcome, IngestRequest,
    Planner, PullOptions, Result, TableName,
};
use jetway_sources::{Content, FetchOptions, Input};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::catalog::Fixture;
use crate::functions::{expected, objects};

fn data(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/odf-0.265");
    folder.join(file)
}

fn file(name: &str) -> Input {
    Input {
        name: name.to_owned(),
        content: Content::File(data(&format!("inputs/{name}"))),
    }
}

fn table(name: &str) -> TableName {
    TableName::parse(None, None, name).unwrap()
}

fn key(text: &str) -> Option<IdempotencyKey> {
    Some(text.parse().unwrap())
}

impl Fixture {
    /// Makes a dataset from its manifest.
    async fn add(&self, manifest: &str) {
        let manifests = read_manifests(manifest).unwrap();
        let mut snapshot = manifests[0].as_snapshot().unwrap().clone();
        snapshot.name.account = Some("alice".parse().unwrap());
        let alias = snapshot.name.clone();
        let (blocks, _) = snapshot
            .into_chain(DatasetId::generate().0, |_| None, DateTime::UNIX_EPOCH)
            .unwrap();
        self.catalog.create(&self.alice, &alias, blocks, vec![]).await.unwrap();
    }

    async fn add_source(&self, name: &str, merge: &str) {
        self.add(&format!(
            "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata:\n    - kind: AddPushSource\n      \
             sourceName: default\n      read: {{kind: NdJson}}\n      merge: {merge}\n"
        ))
        .await;
    }

    async fn ingest(&self, request: IngestRequest, batch: RecordBatch) -> Result<IngestOutcome> {
        ingest(&self.planner, self, request, batch).await
    }

    /// Kinds of events in the dataset's chain, oldest first.
    async fn chain(&self, name: &str) -> Vec<&'static str> {
        let dataset = self.dataset(name).await;
        let mut kinds = Vec::new();
        jetway_odf::chain::load(&dataset.storage, dataset.head, |block| {
            kinds.push(match &block.block.event {
                MetadataEvent::AddData(_) => "AddData",
                MetadataEvent::SetDataSchema(_) => "SetDataSchema",
                MetadataEvent::AddPushSource(_) => "AddPushSource",
                _ => "other",
            });
        })
        .await
        .unwrap();
        kinds
    }
}

async fn ingest(
    planner: &Planner,
    fixture: &Fixture,
    request: IngestRequest,
    batch: RecordBatch,
) -> Result<IngestOutcome> {
    let rows = BatchStream::new(batch.schema(), stream::iter([Ok(batch)]));
    planner.ingest(&fixture.alice, request, rows).await
}

fn stock(rows: &[(&str, i64)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        (
            "sku",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef,
            true,
        ),
        (
            "qty",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))) as ArrayRef,
            true,
        ),
    ])
    .unwrap()
}

fn without_system_time(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("system_time");
    }
    rows
}

/// The same manifests and inputs as those of another implementation give the same events, in the same order.
#[tokio::test]
async fn files_become_the_events_that_another_implementation_made_of_them() {
    let fixture = Fixture::new().await;
    let first_day: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
    for (name, manifest, inputs) in [
        ("sensors.readings", "append.yaml", "append"),
        ("bank.transactions", "ledger.yaml", "ledger"),
        ("cities.population", "snapshot.yaml", "snapshot"),
        ("registry.changes", "changelog.yaml", "changelog"),
        ("shop.inventory", "upsert.yaml", "upsert"),
        ("weather.vocab", "vocab.yaml", "vocab"),
    ] {
        fixture
            .add(&std::fs::read_to_string(data(&format!("manifests/{manifest}"))).unwrap())
            .await;
        let mut count = 0;
        for extension in ["ndjson", "csv"] {
            for number in 0.. {
                let input = format!("{inputs}-{number}.{extension}");
                if !data(&format!("inputs/{input}")).exists() {
                    break;
                }
                let request = IngestRequest {
                    event_time: Some(first_day + Duration::days(number)),
                    ..IngestRequest::append(table(name))
                };
                let outcome = fixture
                    .planner
                    .ingest_file(&fixture.alice, request, file(&input))
                    .await
                    .unwrap_or_else(|error| panic!("{input}: {error}"));
                assert!(outcome.changed, "{input}");
                count += 1;
            }
        }
        assert!(count >= 2, "{name}");
        let rows = fixture.sql(&format!("SELECT * FROM \"{name}\"")).await.unwrap();
        let events = expected(&format!("{name}.events.ndjson")).unwrap();
        assert_eq!(
            without_system_time(objects(&rows)),
            without_system_time(events),
            "{name}"
        );
        if let Some(state) = expected(&format!("{name}.state.ndjson")) {
            let rows = fixture.sql(&format!("SELECT * FROM to_table('{name}')")).await.unwrap();
            assert_eq!(
                without_system_time(objects(&rows)),
                without_system_time(state),
                "{name}"
            );
        }
    }
}

fn pull_options(folder: &Path) -> PullOptions {
    PullOptions {
        fetch: FetchOptions {
            base_dir: Some(folder.to_owned()),
            ..FetchOptions::local()
        },
        ..PullOptions::default()
    }
}

/// Polled files become blocks of their own; a pull that finds nothing new leaves nothing.
#[tokio::test]
async fn polled_files_become_the_events_that_another_implementation_made_of_them() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let put = |name: &str, text: &[u8]| std::fs::write(folder.path().join("in").join(name), text).unwrap();
    for name in ["poll-2024-02-01.csv", "poll-2024-02-02.csv"] {
        put(name, &std::fs::read(data(&format!("inputs/{name}"))).unwrap());
    }
    fixture
        .add(&std::fs::read_to_string(data("manifests/polling.yaml")).unwrap())
        .await;
    let name = table("files.polled");
    let pull = || fixture.planner.pull(&fixture.alice, &name, pull_options(folder.path()));
    let outcome = pull().await.unwrap();
    assert_eq!((outcome.files, outcome.rows, outcome.events), (2, 5, 5));
    let rows = fixture.sql("SELECT * FROM \"files.polled\"").await.unwrap();
    let events = expected("files.polled.events.ndjson").unwrap();
    assert_eq!(without_system_time(objects(&rows)), without_system_time(events));
    let again = pull().await.unwrap();
    assert_eq!((again.files, again.changed, again.head), (0, false, outcome.head));

    // A file that says nothing new still moves the source on.
    put(
        "poll-2024-02-03.csv",
        b"id,name,score\n1,ann,1.75\n2,bob,2.5\n3,cid,9\n",
    );
    let known = pull().await.unwrap();
    assert_eq!((known.files, known.events, known.changed), (1, 0, true));
    assert!(!pull().await.unwrap().changed);

    // A bad row leaves nothing, and says where it is.
    put("poll-2024-02-04.csv", b"id,name,score\n1,ann,2\n2,bob,high\n");
    let error = pull().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("poll-2024-02-04.csv"), "{error}");
    assert_eq!(fixture.dataset("files.polled").await.head, known.head);
}

#[tokio::test]
async fn pulls_at_the_same_moment_take_a_file_in_once() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.csv"), "n\n1\n2\n").unwrap();
    fixture
        .add(
            "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: files.polled\n  kind: Root\n  metadata:\n    - kind: \
             SetPollingSource\n      fetch: {kind: FilesGlob, path: \"*.csv\"}\n      read: {kind: Csv, header: true}\n      \
             merge: {kind: Append}\n",
        )
        .await;
    let planners: Vec<Planner> = (0..2).map(|_| fixture.another_planner()).collect();
    let name = table("files.polled");
    let pulls = (0..6).map(|number| planners[number % 2].pull(&fixture.alice, &name, pull_options(folder.path())));
    let mut files = 0;
    for outcome in futures::future::join_all(pulls).await {
        match outcome {
            Ok(outcome) => files += outcome.files,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(files, 1);
    assert_eq!(fixture.rows("SELECT count(*) FROM \"files.polled\"").await, ["2"]);
    let pushed = fixture
        .ingest(IngestRequest::append(table("files.polled")), stock(&[("a", 1)]))
        .await;
    assert_eq!(pushed.unwrap_err().kind(), ErrorKind::Unsupported);
    fixture.push("pushed", vec![stock(&[("a", 1)])]).await.unwrap();
    let pulled = fixture
        .planner
        .pull(&fixture.alice, &table("pushed"), pull_options(folder.path()))
        .await;
    assert_eq!(pulled.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// A server that says nothing of its state, and answers only when two have asked.
async fn stateless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut asked = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                asked.push(stream);
            }
            for mut stream in asked {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nn\n1\n2\n";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn processes_that_pull_a_source_without_a_state_take_its_rows_in_once() {
    let fixture = Fixture::new().await;
    let url = stateless().await;
    fixture
        .add(&format!(
            "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: polled\n  kind: Root\n  metadata:\n    - kind: \
             SetPollingSource\n      fetch: {{kind: Url, url: \"{url}\"}}\n      read: {{kind: Csv, header: true}}\n      \
             merge: {{kind: Append}}\n"
        ))
        .await;
    let planners = [fixture.another_planner(), fixture.another_planner()];
    let (name, folder) = (table("polled"), tempfile::tempdir().unwrap());
    let pulls = planners
        .iter()
        .map(|planner| planner.pull(&fixture.alice, &name, pull_options(folder.path())));
    let outcomes = futures::future::join_all(pulls).await;
    let (taken, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (1, 1), "{refused:?}");
    assert_eq!(refused[0].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fixture.rows("SELECT count(*) FROM polled").await, ["2"]);
}

#[tokio::test]
async fn what_changes_nothing_is_not_committed() {
    let fixture = Fixture::new().await;
    fixture.add_source("t", "{kind: Snapshot, primaryKey: [sku]}").await;
    let push = |batch| fixture.ingest(IngestRequest::append(table("t")), batch);
    let empty = push(stock(&[])).await.unwrap();
    assert!(empty.changed && empty.events == 0, "the schema is new: {empty:?}");
    assert_eq!(fixture.chain("t").await, ["other", "AddPushSource", "SetDataSchema"]);
    let first = push(stock(&[("a", 1), ("b", 2)])).await.unwrap();
    assert_eq!((first.rows, first.events, first.changed), (2, 2, true));
    let same = push(stock(&[("b", 2), ("a", 1)])).await.unwrap();
    assert_eq!(
        (same.rows, same.events, same.changed, same.head),
        (2, 0, false, first.head)
    );
    let other = push(stock(&[("b", 3)])).await.unwrap();
    assert_eq!((other.rows, other.events, other.changed), (1, 3, true));
    assert_eq!(
        fixture.rows("SELECT op, sku, qty FROM t ORDER BY \"offset\"").await,
        ["0 a 1", "0 b 2", "1 a 1", "2 b 2", "3 b 3"]
    );
    assert_eq!(fixture.dataset("t").await.head, other.head);
}

/// Merges depend on the head, so what lost the race is merged with what the winner has written.
#[tokio::test]
async fn processes_that_merge_at_the_same_time_see_each_other() {
    let fixture = Fixture::new().await;
    fixture.add_source("t", "{kind: UpsertStream, primaryKey: [sku]}").await;
    let planners: Vec<Planner> = (0..3).map(|_| fixture.another_planner()).collect();
    let pushes = (0..12).map(|number: i64| {
        let (planner, fixture) = (&planners[number as usize % 3], &fixture);
        ingest(
            planner,
            fixture,
            IngestRequest::append(table("t")),
            stock(&[("shared", number), ("other", 7)]),
        )
    });
    for outcome in futures::future::join_all(pushes).await {
        outcome.unwrap();
    }
    // Every change starts from the value that the one before has left.
    let rows = fixture
        .rows("SELECT op, qty FROM t WHERE sku = 'shared' ORDER BY \"offset\"")
        .await;
    assert_eq!(rows.len(), 1 + 11 * 2, "{rows:?}");
    for pair in rows[1..].chunks(2).zip(rows.iter().step_by(2)) {
        let (changed, before) = pair;
        assert_eq!(changed[0].split_once(' ').unwrap().0, "2");
        assert_eq!(changed[0].split_once(' ').unwrap().1, before.split_once(' ').unwrap().1);
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM t WHERE sku = 'other'").await, ["1"]);
}

#[tokio::test]
async fn system_columns_are_taken_only_where_they_mean_something() {
    let fixture = Fixture::new().await;
    fixture.add_source("s", "{kind: Snapshot, primaryKey: [n]}").await;
    fixture.add_source("u", "{kind: UpsertStream, primaryKey: [n]}").await;
    let batch = |column: &str| {
        RecordBatch::try_from_iter([
            (column, Arc::new(Int32Array::from(vec![0])) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ])
        .unwrap()
    };
    for (name, column) in [("s", "op"), ("s", "offset"), ("u", "offset"), ("u", "system_time")] {
        let error = fixture
            .ingest(IngestRequest::append(table(name)), batch(column))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().contains(column), "{error}");
    }
    fixture
        .ingest(IngestRequest::append(table("u")), batch("op"))
        .await
        .unwrap();
    assert_eq!(fixture.rows("SELECT op, n FROM u").await, ["0 1"]);
}

#[tokio::test]
async fn the_source_is_found_by_name_and_its_sql_runs_first() {
    let fixture = Fixture::new().await;
    fixture
        .add(
            "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: t\n  kind: Root\n  metadata:\n    - kind: AddPushSource\n      \
             sourceName: plain\n      read: {kind: NdJson}\n      merge: {kind: Append}\n    - kind: AddPushSource\n      \
             sourceName: doubled\n      read: {kind: NdJson}\n      preprocess: {kind: Sql, engine: datafusion, query: \"SELECT \
             sku, qty * 2 AS qty FROM input WHERE qty > 1\"}\n      merge: {kind: Append}\n",
        )
        .await;
    let push = |source: Option<&str>| {
        let request = IngestRequest {
            source: source.map(ToOwned::to_owned),
            ..IngestRequest::append(table("t"))
        };
        fixture.ingest(request, stock(&[("a", 1), ("b", 5)]))
    };
    for wrong in [None, Some("tripled")] {
        let error = push(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("doubled, plain"), "{error}");
    }
    assert_eq!(push(Some("doubled")).await.unwrap().rows, 1);
    assert_eq!(push(Some("plain")).await.unwrap().rows, 2);
    assert_eq!(
        fixture.rows("SELECT sku, qty FROM t ORDER BY \"offset\"").await,
        ["b 10", "a 1", "b 5"]
    );
}

#[tokio::test]
async fn new_columns_are_added_where_that_was_asked_for() {
    let fixture = Fixture::new().await;
    for (name, merge) in [
        ("a", "{kind: Append}"),
        ("u", "{kind: UpsertStream, primaryKey: [sku]}"),
    ] {
        fixture.add_source(name, merge).await;
        let request = |evolve_schema| IngestRequest {
            evolve_schema,
            ..IngestRequest::append(table(name))
        };
        let wider = RecordBatch::try_from_iter([
            ("sku", Arc::new(StringArray::from(vec!["y"])) as ArrayRef),
            ("qty", Arc::new(Int64Array::from(vec![2])) as ArrayRef),
            ("color", Arc::new(StringArray::from(vec!["red"])) as ArrayRef),
        ])
        .unwrap();
        fixture.ingest(request(false), stock(&[("x", 1)])).await.unwrap();
        let error = fixture.ingest(request(false), wider.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(error.message().contains("color"), "{error}");
        fixture.ingest(request(true), wider).await.unwrap();
        fixture.ingest(request(true), stock(&[("z", 3)])).await.unwrap();
        assert_eq!(
            fixture
                .rows(&format!("SELECT sku, qty, color FROM {name} ORDER BY \"offset\""))
                .await,
            ["x 1 null", "y 2 red", "z 3 null"]
        );
        assert_eq!(
            fixture.chain(name).await[2..],
            ["SetDataSchema", "AddData", "SetDataSchema", "AddData", "AddData"]
        );
    }
}

#[tokio::test]
async fn a_push_that_is_sent_again_with_its_key_adds_nothing() {
    let fixture = Fixture::new().await;
    fixture.add_source("u", "{kind: UpsertStream, primaryKey: [sku]}").await;
    for (name, key_text) in [("a", "one"), ("a", "two"), ("u", "one")] {
        let request = || IngestRequest {
            if_not_exists: IfNotExists::Create,
            idempotency_key: key(key_text),
            ..IngestRequest::append(table(name))
        };
        let first = fixture.ingest(request(), stock(&[("x", 1), ("y", 2)])).await.unwrap();
        // Somebody else goes on meanwhile, so that the push would change something if it were taken in again.
        fixture
            .ingest(IngestRequest::append(table(name)), stock(&[("x", 9)]))
            .await
            .unwrap();
        let head = fixture.dataset(name).await.head;
        let other_node = fixture.another_planner();
        for planner in [&fixture.planner, &other_node] {
            let again = ingest(planner, &fixture, request(), stock(&[("x", 1), ("y", 2)]))
                .await
                .unwrap();
            assert_eq!(format!("{again:?}"), format!("{first:?}"), "the same answer");
        }
        assert_eq!(fixture.dataset(name).await.head, head);
        let error = fixture.ingest(request(), stock(&[("z", 1)])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(key_text), "{error}");
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM a").await, ["6"]);
}

#[tokio::test]
async fn a_dataset_that_is_made_with_a_key_is_made_once() {
    let fixture = Fixture::new().await;
    let request = |text| IngestRequest {
        if_exists: IfExists::Fail,
        if_not_exists: IfNotExists::Create,
        idempotency_key: key(text),
        ..IngestRequest::append(table("t"))
    };
    let first = fixture.ingest(request("k"), stock(&[("x", 1)])).await.unwrap();
    let again = fixture.ingest(request("k"), stock(&[("x", 1)])).await.unwrap();
    assert!(first.created && again.created && first.head == again.head);
    let error = fixture.ingest(request("other"), stock(&[("x", 1)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn duplicates_at_the_same_moment_are_taken_in_once() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![stock(&[("first", 0)])]).await.unwrap();
    let planners: Vec<Planner> = (0..2).map(|_| fixture.another_planner()).collect();
    let pushes = (0..40).map(|number| {
        let request = IngestRequest {
            idempotency_key: key(&format!("key {}", number % 5)),
            ..IngestRequest::append(table("t"))
        };
        ingest(
            &planners[number % 2],
            &fixture,
            request,
            stock(&[("x", number as i64 % 5)]),
        )
    });
    let outcomes = futures::future::join_all(pushes).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let outcome = outcome.as_ref().unwrap();
        let first = outcomes[number % 5].as_ref().unwrap();
        assert_eq!((outcome.head, outcome.rows), (first.head, 1));
    }
    assert_eq!(
        fixture
            .rows("SELECT qty, count(*) FROM t WHERE sku = 'x' GROUP BY qty ORDER BY qty")
            .await,
        ["0 1", "1 1", "2 1", "3 1", "4 1"]
    );
}

/// A file with a bad row says where, and leaves nothing.
#[tokio::test]
async fn a_file_with_a_bad_row_leaves_nothing() {
    let fixture = Fixture::new().await;
    fixture
        .add(&std::fs::read_to_string(data("manifests/vocab.yaml")).unwrap())
        .await;
    let head = fixture.dataset("weather.vocab").await.head;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.csv");
    std::fs::write(&path, "day,station,temp\n2024-01-01,a,1.5\n2024-01-02,a,warm\n").unwrap();
    let input = Input {
        name: "bad.csv".to_owned(),
        content: Content::File(path),
    };
    let request = IngestRequest::append(table("weather.vocab"));
    let error = fixture
        .planner
        .ingest_file(&fixture.alice, request, input)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("bad.csv") && error.to_string().contains('3'),
        "{error}"
    );
    assert_eq!(fixture.dataset("weather.vocab").await.head, head);
}
