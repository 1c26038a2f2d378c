//! The limit of reading: DataFusion in this process over the same files, with nothing behind it.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;

/// Seconds that `SELECT *` over a dataset's slices takes when every batch is thrown away.
pub(crate) async fn seconds(dataset: &Path, repeat: usize) -> Result<Vec<f64>> {
    let mut config = SessionConfig::new();
    // As the node reads them; views would be another amount of work.
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config(config);
    let options = ParquetReadOptions {
        file_extension: "",
        ..ParquetReadOptions::default()
    };
    context
        .register_parquet("t", &dataset.join("data").to_string_lossy(), options)
        .await?;
    let mut seconds = Vec::with_capacity(repeat);
    for _ in 0..=repeat {
        let start = Instant::now();
        let mut stream = context.sql("SELECT * FROM t").await?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            std::hint::black_box(batch?);
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    // The first run warms the caches.
    seconds.remove(0);
    Ok(seconds)
}
