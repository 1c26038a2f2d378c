//! Storage that fails: that says nothing about the dataset.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::ErrorKind;
use crate::storage::Repository;
use crate::verify::tests::ALL;
use crate::verify::tests::clean::large;
use crate::verify::verify;

/// A store whose answer to one request for a slice is lost.
#[derive(Debug)]
struct Unreliable {
    inner: Arc<dyn ObjectStore>,
    requests_before: AtomicUsize,
}

impl Unreliable {
    fn request(&self, location: &Path) -> Result<()> {
        let is_lost = location.as_ref().contains("/data/") && self.requests_before.fetch_sub(1, Ordering::Relaxed) == 0;
        if is_lost {
            return Err(Error::Generic {
                store: "unreliable",
                source: "connection reset".into(),
            });
        }
        Ok(())
    }
}

impl fmt::Display for Unreliable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unreliable")
    }
}

#[async_trait]
impl ObjectStore for Unreliable {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.request(location)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.request(location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_lost_answer_is_an_error_and_no_finding() {
    let dataset = large();
    let reliable = dataset.store().await;
    let mut failures = 0;
    loop {
        let store = Unreliable {
            inner: Arc::clone(reliable.store()),
            requests_before: AtomicUsize::new(failures),
        };
        let repository = Repository::from_store("memory:unreliable".parse().unwrap(), Arc::new(store)).unwrap();
        match verify(&repository.dataset(dataset.id), ALL, |_| ()).await {
            Ok(report) => {
                assert_eq!(report.findings, []);
                break;
            }
            Err(error) => {
                assert!(
                    error.kind() == ErrorKind::Storage && error.is_retryable(),
                    "{failures}: {error}"
                );
                failures += 1;
            }
        }
    }
    // Two files are looked for and opened; the larger one is then hashed, and read column by column.
    assert!(failures > 10, "{failures}");
}
