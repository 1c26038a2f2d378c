//! Prometheus metrics: whatever the rooms record, and the process itself.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use jetway_planner::Planner;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of histograms of times, in seconds.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Bounds of histograms of sizes, in bytes.
const BYTES: [f64; 8] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// The recorder is one per process by the design of the `metrics` crate; nodes in one process share it.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder, at the first call in this process.
pub(crate) fn install() -> Result<PrometheusHandle> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES))
        .context("the metrics cannot be set up")?
        .build_recorder();
    let handle = RECORDER.get_or_init(|| recorder.handle()).clone();
    // Another node of this process may have been first; then its recorder counts.
    if ::metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    Ok(handle)
}

/// Everything recorded so far, and the memory and disk that statements use, in Prometheus' text format.
pub(crate) fn render(handle: &PrometheusHandle, planner: &Planner) -> String {
    record_process();
    let (used, limit) = planner.memory();
    ::metrics::gauge!("jetway_spill_bytes").set(planner.spilled() as f64);
    ::metrics::gauge!("jetway_query_memory_bytes").set(used as f64);
    ::metrics::gauge!("jetway_query_memory_limit_bytes").set(limit as f64);
    handle.render()
}

fn describe() {
    ::metrics::describe_gauge!("jetway_info", "Version of the node, as a label");
    ::metrics::gauge!("jetway_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    ::metrics::describe_gauge!(
        "jetway_query_memory_bytes",
        "Memory that running statements have reserved"
    );
    ::metrics::describe_gauge!(
        "jetway_query_memory_limit_bytes",
        "Memory that running statements may reserve"
    );
    ::metrics::describe_gauge!("jetway_spill_bytes", "Bytes of intermediate results in files");
    ::metrics::describe_counter!(
        "jetway_spilled_bytes_total",
        "Bytes of intermediate results that were written to files"
    );
    ::metrics::describe_counter!("jetway_panics_total", "Faults of the program that ended a request");
    // It is there before the first one, so that a change can be seen.
    ::metrics::counter!("jetway_panics_total").increment(0);
    count_panics();
    ::metrics::describe_gauge!("jetway_queries_running", "Statements that run");
    ::metrics::describe_gauge!("jetway_queries_queued", "Statements that wait for their turn");
    ::metrics::describe_histogram!(
        "jetway_query_queue_seconds",
        "How long statements waited for their turn"
    );
    ::metrics::describe_counter!("jetway_queries_total", "Statements that ended, by how");
    ::metrics::describe_counter!(
        "jetway_queries_refused_total",
        "Statements that were refused because the node was busy"
    );
    for (counter, meaning) in [
        ("jetway_plan_cache_hits_total", "Statements whose plan was kept"),
        (
            "jetway_plan_cache_misses_total",
            "Statements that were planned, though their plans can be kept",
        ),
        (
            "jetway_plan_cache_evictions_total",
            "Plans that were dropped because others took their place",
        ),
    ] {
        ::metrics::describe_counter!(counter, meaning);
    }
    ::metrics::describe_gauge!("process_resident_memory_bytes", "Memory that the process has in RAM");
    ::metrics::describe_gauge!(
        "process_resident_memory_peak_bytes",
        "Most memory that the process has had in RAM"
    );
    ::metrics::describe_gauge!("process_virtual_memory_bytes", "Address space of the process");
    ::metrics::describe_gauge!("process_threads", "Threads of the process");
    ::metrics::describe_gauge!("process_open_fds", "Open files and sockets of the process");
}

/// Counts every panic, wherever it is caught. It is shown as ever.
fn count_panics() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        ::metrics::counter!("jetway_panics_total").increment(1);
        show(panic);
    }));
}

fn record_process() {
    // Without /proc these gauges are absent, which monitoring can tell from zero.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for (key, gauge) in [
            ("VmRSS", "process_resident_memory_bytes"),
            ("VmHWM", "process_resident_memory_peak_bytes"),
            ("VmSize", "process_virtual_memory_bytes"),
            ("Threads", "process_threads"),
        ] {
            if let Some(value) = status_value(&status, key) {
                ::metrics::gauge!(gauge).set(value);
            }
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        ::metrics::gauge!("process_open_fds").set(u32::try_from(open.count()).unwrap_or(u32::MAX));
    }
}

/// The value of a line such as `VmRSS:     1234 kB`, in bytes where there is a unit.
fn status_value(status: &str, key: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let mut words = line.split_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    Some(if words.next() == Some("kB") {
        value * 1024.0
    } else {
        value
    })
}
