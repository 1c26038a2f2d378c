//! What indexes read and write, what they do when their files are damaged, and who else uses them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use jetway_odf::metadata::{MergeStrategy, MetadataEvent, SetInfo};
use jetway_odf::storage::{HeadSwap, Repository};
use object_store::ObjectStore;

use crate::merge::Merger;
use crate::merge::index::{Options, StateIndex};
use crate::merge::tests::counting::CountingStore;
use crate::merge::tests::dataset::{Dataset, Pushed, Row, ledger, row, snapshot, upsert};
use crate::summary::SummaryCache;
use crate::{ErrorKind, PlannerOptions};

fn small() -> Options {
    Options {
        block_rows: 16,
        memory_rows: 64,
        memory_blocks: 8,
        memory_bytes: 64 << 20,
        ratio: 4,
        in_background: false,
        grace: Duration::ZERO,
    }
}

/// A dataset with an index of several files: cities 0 to 1999, of which every tenth was retracted and every seventh
/// corrected.
async fn with_history() -> Dataset {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), small());
    let cities: Vec<Row> = (0..2000).map(|number| city(number, number)).collect();
    dataset.write(&upsert(&["city"]), &cities, Pushed::ALL).await;
    for start in 0..20 {
        let changes = (start * 100..start * 100 + 100).filter_map(|number| match number {
            number if number % 10 == 0 => Some(Row {
                op: 1,
                ..city(number, 0)
            }),
            number if number % 7 == 0 => Some(city(number, -number)),
            _ => None,
        });
        let changes: Vec<Row> = changes.collect();
        dataset.write(&upsert(&["city"]), &changes, Pushed::ALL).await;
    }
    dataset
}

fn city(number: i64, population: i64) -> Row {
    row(0, 5, &format!("city {number:05}"), number, population)
}

fn population(number: i64) -> Option<i64> {
    match number {
        number if number % 10 == 0 => None,
        number if number % 7 == 0 => Some(-number),
        number => Some(number),
    }
}

/// What an empty snapshot retracts: the state, by way of a scan.
async fn state(dataset: &Dataset) -> Vec<i64> {
    let retracted = dataset.merge(&snapshot(&["city"]), &[], Pushed::DATA).await.unwrap();
    retracted.iter().map(|row| row.population.unwrap()).collect()
}

fn expected_state() -> Vec<i64> {
    (0..2000).filter_map(population).collect()
}

/// What upserts of some cities find, by way of look-ups.
async fn find(dataset: &Dataset, numbers: &[i64]) -> Vec<Option<i64>> {
    let rows: Vec<Row> = numbers.iter().map(|number| city(*number, 1_000_000)).collect();
    let events = dataset.merge(&upsert(&["city"]), &rows, Pushed::ALL).await.unwrap();
    let found = numbers.iter().map(|number| {
        let mut events = events.iter().filter(|event| event.number == *number);
        events.find(|event| event.op == 2).and_then(|event| event.population)
    });
    found.collect()
}

async fn files(dataset: &Dataset, ending: &str) -> Vec<String> {
    let files: Vec<_> = dataset.storage.derived().list("keys").try_collect().await.unwrap();
    let names = files.iter().map(|file| file.location.to_string());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(ending))
        .map(|name| name.split_once("cache/").unwrap().1.to_owned())
        .collect();
    names.sort();
    names
}

async fn check(dataset: &Dataset) {
    let numbers: Vec<i64> = (0..2010).step_by(3).collect();
    let expected: Vec<Option<i64>> = numbers
        .iter()
        .map(|number| Some(*number).filter(|number| *number < 2000).and_then(population))
        .collect();
    assert_eq!(find(dataset, &numbers).await, expected);
    assert_eq!(state(dataset).await, expected_state());
}

#[tokio::test]
async fn look_ups_and_scans_agree_before_and_after_reopening() {
    let mut dataset = with_history().await;
    assert!(files(&dataset, ".run").await.len() > 1);
    check(&dataset).await;
    dataset.reopen();
    check(&dataset).await;
}

/// Whatever happens to a file, the answer is right: bytes change, ends are missing, all of it is gone.
#[tokio::test]
async fn damaged_files_are_made_again() {
    for reopened in [false, true] {
        for damage in [Damage::Flip, Damage::Cut, Damage::Remove, Damage::Empty] {
            let mut dataset = with_history().await;
            let before = files(&dataset, ".run").await;
            for name in &before {
                harm(&dataset, name, damage).await;
            }
            if reopened {
                dataset.reopen();
            }
            check(&dataset).await;
            let after = files(&dataset, ".run").await;
            assert!(after.iter().any(|name| !before.contains(name)), "{damage:?}");
        }
    }
}

/// A byte anywhere in a run: the whole file is read by a scan, so it must be noticed.
#[tokio::test]
async fn every_byte_of_a_run_is_checked() {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), small());
    let cities: Vec<Row> = (0..70).map(|number| city(number, number)).collect();
    dataset.commit(&cities).await;
    let expected: Vec<i64> = (0..70).collect();
    assert_eq!(state(&dataset).await, expected);
    let store = dataset.storage.derived();
    let mut place = 0;
    loop {
        let names = files(&dataset, ".run").await;
        let name = names.first().unwrap();
        let mut bytes = store.read(name, u64::MAX).await.unwrap().unwrap().to_vec();
        let Some(byte) = bytes.get_mut(place) else { break };
        *byte ^= 0x10;
        store.write(name, Bytes::from(bytes)).await.unwrap();
        dataset.reopen();
        assert_eq!(state(&dataset).await, expected, "byte {place}");
        assert_ne!(&files(&dataset, ".run").await, &names, "byte {place} went unnoticed");
        place += 211;
    }
    assert!(place > 1000);
}

#[tokio::test]
async fn damaged_manifests_are_made_again() {
    for damage in [Damage::Flip, Damage::Cut, Damage::Remove, Damage::Empty] {
        let mut dataset = with_history().await;
        for name in files(&dataset, "manifest").await {
            harm(&dataset, &name, damage).await;
        }
        dataset.reopen();
        check(&dataset).await;
    }
}

/// A scan that has given rows already goes on behind them.
#[tokio::test]
async fn a_scan_survives_damage_in_the_middle() {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), small());
    let cities: Vec<Row> = (0..3000).map(|number| city(number, number)).collect();
    dataset.commit(&cities).await;
    let (index, _) = index(&dataset).await;
    let mut rows = index.open().await.unwrap().scan();
    let mut count = rows.try_next().await.unwrap().unwrap().num_rows();
    assert!(count < 100);
    for name in files(&dataset, ".run").await {
        harm(&dataset, &name, Damage::Flip).await;
    }
    while let Some(batch) = rows.try_next().await.unwrap() {
        count += batch.num_rows();
    }
    assert_eq!(count, 3000);
}

#[tokio::test]
async fn rewritten_history_is_read_again() {
    let mut dataset = with_history().await;
    // A second history of the same dataset, longer than the first.
    let rewritten = Dataset::new().await;
    let (merger, engine) = (dataset.merger.clone(), dataset.engine.clone());
    let old = std::mem::replace(&mut dataset, rewritten);
    dataset.merger = merger;
    dataset.engine = engine;
    for name in files(&old, "").await {
        let bytes = old.storage.derived().read(&name, u64::MAX).await.unwrap().unwrap();
        dataset.storage.derived().write(&name, bytes).await.unwrap();
    }
    for number in 0..40 {
        dataset.commit(&[city(number, 77)]).await;
    }
    assert_eq!(find(&dataset, &[0, 39, 40]).await, [Some(77), Some(77), None]);
    dataset.reopen();
    assert_eq!(find(&dataset, &[0, 39, 40]).await, [Some(77), Some(77), None]);
}

/// The head goes back to an earlier block, and on from there.
#[tokio::test]
async fn a_reset_dataset_has_its_earlier_state() {
    for reopened in [false, true] {
        let mut dataset = with_history().await;
        let (earlier, longer) = (dataset.state.clone(), 30);
        for number in 0..longer {
            dataset
                .write(
                    &upsert(&["city"]),
                    &[city(number, 5), city(5000 + number, 5)],
                    Pushed::ALL,
                )
                .await;
        }
        let swapped = dataset
            .storage
            .compare_and_swap_head(Some(dataset.state.head()), earlier.head())
            .await;
        assert_eq!(swapped.unwrap(), HeadSwap::Swapped);
        dataset.state = earlier;
        if reopened {
            dataset.reopen();
        }
        check(&dataset).await;
        dataset.write(&upsert(&["city"]), &[city(1, 77)], Pushed::ALL).await;
        assert_eq!(find(&dataset, &[1, 2, 5001]).await, [Some(77), Some(2), None]);
    }
}

/// Two processes write in turn, each with what it remembers.
#[tokio::test]
async fn processes_share_an_index() {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), small());
    let mut other = dataset.merger.reopened();
    for number in 0..120 {
        let rows: Vec<Row> = (0..20).map(|place| city((number * 13 + place) % 300, number)).collect();
        dataset.write(&upsert(&["city"]), &rows, Pushed::ALL).await;
        if number % 3 == 0 {
            std::mem::swap(&mut dataset.merger, &mut other);
        }
    }
    let mut expected = std::collections::BTreeMap::new();
    for number in 0..120 {
        for place in 0..20 {
            expected.insert((number * 13 + place) % 300, number);
        }
    }
    let expected: Vec<i64> = expected.into_values().collect();
    assert_eq!(state(&dataset).await, expected);
    std::mem::swap(&mut dataset.merger, &mut other);
    assert_eq!(state(&dataset).await, expected);
    dataset.reopen();
    assert_eq!(state(&dataset).await, expected);
    // Nothing is kept that no manifest names.
    assert!(files(&dataset, ".run").await.len() < 8);
}

/// Merges that run at the same time, while files are written, all see the state at their own head.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merges_at_the_same_time_agree() {
    let mut dataset = Dataset::new().await;
    let options = Options {
        in_background: true,
        memory_rows: 40,
        memory_blocks: 2,
        memory_bytes: 64 << 20,
        ..small()
    };
    dataset.merger = Merger::with_options(dataset.engine.clone(), options);
    let strategy = upsert(&["city"]);
    for number in 0..40 {
        let rows: Vec<Row> = (0..10).map(|place| city(place * 7 % 30, number)).collect();
        let merges = (0..4).map(|_| dataset.merge(&strategy, &rows, Pushed::ALL));
        let merged = futures::future::try_join_all(merges).await.unwrap();
        assert!(merged.iter().all(|events| *events == merged[0]));
        assert_eq!(merged[0].len(), if number == 0 { 10 } else { 20 });
        dataset.commit(&merged[0]).await;
    }
}

/// Blocks without rows, and merges at a head that is not the newest.
#[tokio::test]
async fn heads_are_followed_forward_and_back() {
    let mut dataset = with_history().await;
    let (earlier, _) = index(&dataset).await;
    for number in 0..3 {
        let info = SetInfo {
            description: Some(format!("change {number}")),
            keywords: None,
        };
        dataset.append(MetadataEvent::SetInfo(info), Vec::new()).await;
        check(&dataset).await;
    }
    // Still remembered.
    let rows: Vec<_> = earlier
        .clone()
        .open()
        .await
        .unwrap()
        .scan()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        rows.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        expected_state().len()
    );
    for number in 0..40 {
        dataset
            .write(&upsert(&["city"]), &[city(number, number)], Pushed::ALL)
            .await;
    }
    let error = earlier.open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_index_is_dropped_and_made_again() {
    let dataset = with_history().await;
    dataset.merger.forget(&dataset.storage).await.unwrap();
    assert!(files(&dataset, "").await.is_empty());
    let pinned = dataset.pinned();
    let summary = SummaryCache::default().get(&pinned).await.unwrap();
    for (strategy, indexes) in [
        (MergeStrategy::Append {}, 0),
        (upsert(&["city"]), 1),
        (ledger(&["city"]), 2),
    ] {
        dataset.merger.build(&strategy, &pinned, &summary).await.unwrap();
        assert_eq!(files(&dataset, "manifest").await.len(), indexes);
    }
    check(&dataset).await;
}

/// Keys that were retracted are not carried along for ever, except where having been there counts.
#[tokio::test]
async fn the_state_does_not_grow_with_history() {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), small());
    for number in 0..100 {
        let rows: Vec<Row> = (0..10).map(|place| city(number * 10 + place, 1)).collect();
        dataset.write(&snapshot(&["city"]), &rows, Pushed::DATA).await;
    }
    let (index, _) = index(&dataset).await;
    let open = index.open().await.unwrap();
    let rows: u64 = open.version.saved.runs.iter().map(|run| run.rows()).sum();
    assert!(rows <= 200, "{rows} entries for 10 keys");
    let seen: Vec<Row> = (0..1000).map(|number| city(number, 2)).collect();
    assert_eq!(
        dataset.merge(&ledger(&["city"]), &seen, Pushed::DATA).await.unwrap(),
        []
    );
}

/// Few rows, but wide ones, are much as well.
#[tokio::test]
async fn rows_in_memory_are_limited_by_bytes_too() {
    for memory_bytes in [8 << 10, 64 << 10] {
        let mut dataset = Dataset::new().await;
        let options = Options {
            memory_rows: 1_000_000,
            memory_blocks: 1_000_000,
            memory_bytes,
            ..small()
        };
        dataset.merger = Merger::with_options(dataset.engine.clone(), options);
        for start in (0..2000).step_by(500) {
            let cities: Vec<Row> = (start..start + 500).map(|number| city(number, number)).collect();
            dataset.write(&upsert(&["city"]), &cities, Pushed::ALL).await;
        }
        assert_eq!(find(&dataset, &[0, 499, 1000, 1999, 2000]).await[3], Some(1999));
        let (index, _) = index(&dataset).await;
        let open = index.open().await.unwrap();
        assert!(open.version.memory() < 2 * memory_bytes as usize + (64 << 10));
        assert!(!files(&dataset, ".run").await.is_empty());
        assert_eq!(state(&dataset).await, (0..2000).collect::<Vec<_>>());
    }
}

/// What a write of a few rows reads does not depend on how much is there, nor on how much was written before.
#[tokio::test]
async fn a_write_reads_what_it_writes() {
    for (strategy, columns) in [(upsert(&["city"]), Pushed::ALL), (ledger(&["city"]), Pushed::DATA)] {
        let store = CountingStore::new();
        let url = url::Url::parse("memory:///").unwrap();
        let repository = Repository::from_store(url, Arc::clone(&store) as Arc<dyn ObjectStore>).unwrap();
        let mut dataset = Dataset::in_repository(repository).await;
        let options = Options {
            in_background: false,
            memory_rows: 512,
            memory_blocks: 64,
            memory_bytes: 64 << 20,
            ..Options::default()
        };
        dataset.merger = Merger::with_options(dataset.engine.clone(), options);
        let cities: Vec<Row> = (0..60_000).map(|number| city(number, number)).collect();
        dataset.commit(&cities).await;
        dataset.write(&strategy, &cities[..10], columns).await;
        let mut read = Vec::new();
        for write in 0..100_i64 {
            let rows: Vec<Row> = (0..5)
                .map(|place| city((write * 5 + place) * 7919 % 90_000, -write))
                .collect();
            store.take();
            dataset.write(&strategy, &rows, columns).await;
            read.push(store.take());
        }
        let slices = dataset.state.counts().data_bytes;
        let average = |reads: &[u64]| reads.iter().sum::<u64>() / reads.len() as u64;
        let (first, last) = (average(&read[..20]), average(&read[80..]));
        assert!(
            last < 2 * first,
            "{first} bytes for an early write, {last} for a late one"
        );
        assert!(
            average(&read) < slices / 10,
            "{} bytes for a write, {slices} in all",
            average(&read)
        );
    }
}

/// With less memory than the rows need, both the index and the input go by way of the disk.
#[tokio::test]
async fn large_inputs_and_histories_spill() {
    let options = PlannerOptions {
        memory_limit: 24 * 1024 * 1024,
        ..PlannerOptions::default()
    };
    let engine = crate::session::Engine::new(&options).unwrap();
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::new(engine);
    let rows: Vec<Row> = (0..300_000)
        .map(|number| city(number * 7919 % 300_000, number))
        .collect();
    for piece in rows.chunks(100_000) {
        dataset.commit(piece).await;
    }
    let batch = crate::merge::tests::dataset::pushed(&rows, Pushed::DATA);
    // Small batches, and one that is cut up.
    let mut pieces: Vec<_> = (0..15).map(|piece| batch.slice(piece * 10_000, 10_000)).collect();
    pieces.push(batch.slice(150_000, 150_000));
    let merged = dataset
        .merge_batches(&snapshot(&["city"]), batch.schema(), pieces)
        .await;
    assert_eq!(merged.unwrap(), []);
}

async fn index(dataset: &Dataset) -> (StateIndex, Arc<crate::summary::DatasetSummary>) {
    use crate::merge::columns::Columns;
    use crate::merge::index::Content;
    let pinned = dataset.pinned();
    let summary = SummaryCache::default().get(&pinned).await.unwrap();
    let schema = crate::merge::tests::dataset::slice_schema();
    let pushed = crate::merge::tests::dataset::pushed(&[], Pushed::DATA).schema();
    let columns = Columns::new(&upsert(&["city"]), summary.state.vocabulary(), &schema, &pushed).unwrap();
    let layout = columns.layout(Content::Rows);
    let index = dataset.merger.indexes.get(&dataset.engine, &pinned, &summary, layout);
    (index, summary)
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Cut,
    Remove,
    Empty,
}

async fn harm(dataset: &Dataset, name: &str, damage: Damage) {
    let store = dataset.storage.derived();
    let bytes = store.read(name, u64::MAX).await.unwrap().unwrap();
    let harmed = match damage {
        Damage::Remove => return store.remove(name).await.unwrap(),
        Damage::Cut => bytes.slice(..bytes.len() / 2),
        Damage::Empty => Bytes::new(),
        Damage::Flip => {
            let mut bytes = bytes.to_vec();
            for byte in bytes.iter_mut().step_by(64) {
                *byte ^= 0xff;
            }
            Bytes::from(bytes)
        }
    };
    store.write(name, harmed).await.unwrap();
}
