//! Processes that are killed while they commit. The test program starts itself as the process to kill.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::TryStreamExt;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MetadataEvent;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, ObjectSource, PendingObject};

use super::{blocks, local};

/// In the environment of a process to kill: the repository's path.
const REPOSITORY: &str = "JETWAY_TEST_CRASH_REPOSITORY";

const ROUNDS: usize = 30;
const WRITERS: usize = 2;

fn id() -> DatasetId {
    DatasetId::seeded(b"crash")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_a_whole_chain() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = local::open(folder.path())
        .await
        .create(id(), None, &[blocks::seed(&id())])
        .await
        .unwrap();
    let mut committed = HashSet::new();
    let mut checked = HashSet::new();
    // Kills that come before the first commit count, but there must be others.
    for round in 0.. {
        if round >= ROUNDS && committed.len() >= ROUNDS {
            break;
        }
        assert!(
            round < 20 * ROUNDS,
            "the writers hardly get to commit: {} commits",
            committed.len()
        );
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| Victim::start("storage::crash::writer", folder.path()))
            .collect();
        for writer in &writers {
            writer.wait_for("ready");
        }
        std::thread::sleep(Duration::from_micros(rand::random_range(0..60_000)));
        for writer in writers {
            committed.extend(
                writer
                    .kill()
                    .iter()
                    .filter_map(|line| Some(line.strip_prefix("committed ")?.parse::<Multihash>().unwrap())),
            );
        }

        // As a process sees it that starts after the crash.
        let dataset = local::open(folder.path()).await.dataset(id());
        let chain = blocks::chain(&dataset).await;
        let hashes: HashSet<Multihash> = chain.iter().map(|block| block.hash).collect();
        assert_eq!(chain.last().unwrap().block.sequence_number, 0);
        let lost: Vec<_> = committed.difference(&hashes).collect();
        assert!(
            lost.is_empty(),
            "round {round}: acknowledged, but not in the chain: {lost:?}"
        );
        for block in &chain {
            if checked.insert(block.hash) {
                check_data(&dataset, block).await;
            }
        }
    }
    let next = blocks::info(&blocks::chain(&dataset).await[0], "still works");
    let outcome = dataset
        .commit(next.block.prev_block_hash, std::slice::from_ref(&next), Vec::new())
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: next.hash });
}

async fn check_data(dataset: &DatasetStorage, block: &EncodedBlock) {
    let MetadataEvent::AddData(event) = &block.block.event else {
        return;
    };
    let slice = event.new_data.as_ref().unwrap();
    let object = dataset
        .open_object(ObjectKind::Data, &slice.physical_hash)
        .await
        .unwrap();
    let bytes: Vec<_> = object.bytes.try_collect().await.unwrap();
    assert_eq!(Multihash::sha3_256(&bytes.concat()), slice.physical_hash);
}

/// Not a test by itself: what [`killed_writers_leave_a_whole_chain`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    let Some(path) = std::env::var_os(REPOSITORY) else {
        return;
    };
    let dataset = local::open(Path::new(&path)).await.dataset(id());
    let mut newest = newest(&dataset).await;
    say("ready");
    loop {
        let data = blocks::random_bytes(rand::random_range(1..5_000));
        let block = blocks::add_data(&newest, &data);
        let mut file = dataset.new_pending_file().await.unwrap();
        file.write_all(&data).unwrap();
        let object = PendingObject {
            kind: ObjectKind::Data,
            hash: Multihash::sha3_256(&data),
            source: ObjectSource::File {
                file,
                size: data.len() as u64,
            },
        };
        newest = match dataset
            .commit(Some(newest.hash), std::slice::from_ref(&block), vec![object])
            .await
            .unwrap()
        {
            CommitOutcome::Committed { head } => {
                assert_eq!(head, block.hash);
                say(&format!("committed {head}"));
                block
            }
            CommitOutcome::Conflict { .. } => self::newest(&dataset).await,
            CommitOutcome::Unchanged => panic!("a block was ignored"),
        };
    }
}

async fn newest(dataset: &DatasetStorage) -> EncodedBlock {
    let head = dataset.head().await.unwrap().unwrap();
    EncodedBlock::from_bytes(dataset.block(&head).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_goes_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let seed = blocks::seed(&id());
    let dataset = local::open(folder.path())
        .await
        .create(id(), None, std::slice::from_ref(&seed))
        .await
        .unwrap();
    let holder = Victim::start("storage::crash::lock_holder", folder.path());
    holder.wait_for("locked");

    let block = blocks::info(&seed, "waiting");
    let mut commit = tokio::spawn({
        let (dataset, seed, block) = (dataset.clone(), seed.clone(), block.clone());
        async move { blocks::commit(&dataset, &seed, &block).await }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut commit)
            .await
            .is_err(),
        "the lock was ignored"
    );
    // Readers do not wait.
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));

    holder.kill();
    let outcome = tokio::time::timeout(Duration::from_secs(10), commit)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: block.hash });
}

/// Not a test by itself: what [`a_lock_goes_with_its_process`] kills.
#[test]
fn lock_holder() {
    let Some(path) = std::env::var_os(REPOSITORY) else {
        return;
    };
    let lock = File::create(PathBuf::from(path).join(id().to_multibase()).join(".lock")).unwrap();
    lock.lock().unwrap();
    say("locked");
    loop {
        std::thread::park();
    }
}

/// Writes a line that is on its way even if the process is killed right after. The test harness captures `println!`.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{line}").unwrap();
    output.flush().unwrap();
}

/// This program as another process that runs one function. Killed with the value.
struct Victim {
    process: Child,
    lines: std::sync::mpsc::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Victim {
    fn start(function: &str, repository: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([function, "--exact", "--nocapture", "--test-threads=1"])
            .env(REPOSITORY, repository)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            lines,
            reader: Some(reader),
        }
    }

    fn wait_for(&self, line: &str) {
        while self.lines.recv_timeout(Duration::from_secs(60)).unwrap() != line {}
    }

    /// Kills the process without warning, and returns what else it had written.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        self.lines.try_iter().collect()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
