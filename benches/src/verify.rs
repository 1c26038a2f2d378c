//! Checking datasets, against nothing but SHA3 over the same bytes on all cores.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use arrow::array::Array;
use jetway_odf::identity::Multihash;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::environment::Environment;
use crate::node::Node;
use crate::python::measure;
use crate::report::Report;

const MIB: f64 = 1024.0 * 1024.0;

/// How often lineitem is pushed, each time into a dataset of its own.
const DATASETS: usize = 2;

/// How much of the values of columns is hashed at once.
const PIECE: usize = 1 << 20;

pub(crate) fn run(environment: &Environment, repeat: usize, report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    let (file, repetitions) = (environment.lineitem(), DATASETS.to_string());
    let arguments = [
        ("uri", node.uri.as_str()),
        ("token", node.token.as_str()),
        ("file", &file.to_string_lossy()),
        ("table", "lineitem"),
        ("repeat", &repetitions),
    ];
    measure(environment, "put", &arguments)?;
    let files = slices(&node)?;
    let file_bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let value_bytes = value_bytes(&files)?;
    let mut rounds = Vec::with_capacity(repeat);
    for _ in 0..=repeat {
        rounds.push([
            hash_files(&files)?,
            hash_values(value_bytes)?,
            verify(environment, &node, &["--no-rows"])?,
            verify(environment, &node, &[])?,
        ]);
    }
    // The first round warms the caches.
    rounds.remove(0);
    let median = |column: fn(&[f64; 4]) -> f64| median(rounds.iter().map(column).collect());
    let plain_files = median(|[files, ..]| *files);
    let plain_all = plain_files + median(|[_, values, ..]| *values);
    let without_rows = median(|[_, _, without_rows, _]| *without_rows);
    let all = median(|[.., all]| *all);
    let mib = |bytes: u64| bytes as f64 / MIB;
    report.add(
        "(v) jetway verify --no-rows: blocks and the hashes of files",
        format!("{:.2}", plain_files / without_rows),
        format!(
            "{without_rows:.2} s, {:.0} MiB/s, against {plain_files:.2} s for SHA3-256 of the same {:.0} MiB on all cores",
            mib(file_bytes) / without_rows,
            mib(file_bytes)
        ),
        "at least 0.7",
    );
    report.add(
        "(v) jetway verify: also rows and their logical hashes",
        format!("{:.2}", plain_all / all),
        format!(
            "{all:.2} s against {plain_all:.2} s for SHA3-256 of the {:.0} MiB of files and the {:.0} MiB of their values on all cores",
            mib(file_bytes),
            mib(value_bytes)
        ),
        "at least 0.7",
    );
    Ok(())
}

/// Seconds of one run of the program over all datasets of the node.
fn verify(environment: &Environment, node: &Node, arguments: &[&str]) -> Result<f64> {
    let start = Instant::now();
    let output = Command::new(&environment.jetway)
        .arg("verify")
        .args(arguments)
        .arg("--data-dir")
        .arg(node.data_dir())
        .output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the datasets are not valid: {report}");
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds that SHA3-256 of each file takes.
fn hash_files(files: &[(PathBuf, u64)]) -> Result<f64> {
    on_all_cores(files.len(), |index| {
        if let Some((path, _)) = files.get(index) {
            std::hint::black_box(Multihash::sha3_256(&std::fs::read(path)?));
        }
        Ok(())
    })
}

/// Seconds that SHA3-256 of so many bytes in memory takes.
fn hash_values(bytes: u64) -> Result<f64> {
    let piece = vec![0x5a; PIECE];
    on_all_cores(usize::try_from(bytes)? / PIECE, |_| {
        std::hint::black_box(Multihash::sha3_256(&piece));
        Ok(())
    })
}

/// Seconds that pieces of work take on as many threads as there are cores.
fn on_all_cores(pieces: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<f64> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = || -> Result<()> {
            loop {
                match next.fetch_add(1, Ordering::Relaxed) {
                    index if index < pieces => work(index)?,
                    _ => return Ok(()),
                }
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut ended = running.into_iter().map(|thread| thread.join());
        ended.try_for_each(|outcome| outcome.map_err(|_| anyhow!("hashing failed"))?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// All slices of all datasets with their sizes, the largest first, so that threads end at about the same time.
fn slices(node: &Node) -> Result<Vec<(PathBuf, u64)>> {
    let mut slices = Vec::new();
    for dataset in node.datasets()? {
        for slice in std::fs::read_dir(dataset.join("data"))? {
            let slice = slice?;
            slices.push((slice.path(), slice.metadata()?.len()));
        }
    }
    slices.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    Ok(slices)
}

/// Bytes of all values of all columns, which the logical hash is made of.
fn value_bytes(files: &[(PathBuf, u64)]) -> Result<u64> {
    let mut bytes = 0;
    for (path, _) in files {
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
            for column in batch?.columns() {
                bytes += column.to_data().get_slice_memory_size()? as u64;
            }
        }
    }
    Ok(bytes)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
