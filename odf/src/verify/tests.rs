mod clean;
mod dataset;
mod files;
mod rows;
mod rules;
mod unreliable;

use std::num::NonZeroUsize;

use crate::storage::DatasetStorage;
use crate::verify::{Finding, Problem, Report, VerifyOptions, verify};

/// Everything, on three threads.
const ALL: VerifyOptions = VerifyOptions {
    hashes: true,
    rows: true,
    threads: NonZeroUsize::new(3),
};

async fn report(storage: &DatasetStorage) -> Report {
    verify(storage, ALL, |_| ()).await.unwrap()
}

/// What was found, each with the position of its block.
fn problems(report: &Report) -> Vec<(Problem, Option<u64>)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.problem, finding.sequence_number))
        .collect()
}

/// The only finding.
fn only(report: &Report) -> &Finding {
    let [finding] = report.findings.as_slice() else {
        panic!("{:#?}", report.findings)
    };
    finding
}
