//! An object store behind a bad network.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to one put.
pub(crate) enum Fault {
    /// It is done, but its answer is lost.
    LostAnswer,
    /// Its answer is lost, and the client repeats it and passes on what came of the repetition, as the S3 client does.
    Repeated,
    /// It does not get through.
    LostRequest,
    /// It is done, then the future, then its answer is lost.
    LostAnswerAfter(BoxFuture<'static, ()>),
    /// The future is done, and then it does not get through.
    LostRequestAfter(BoxFuture<'static, ()>),
}

/// A store in memory whose puts to paths that end in `affected` meet the `faults`, one each, before they go well.
pub(crate) struct LossyStore {
    inner: InMemory,
    affected: &'static str,
    faults: Mutex<VecDeque<Fault>>,
}

impl LossyStore {
    pub(crate) fn new(affected: &'static str) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            affected,
            faults: Mutex::default(),
        })
    }

    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// How many faults have not happened yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    fn next_fault(&self, location: &Path) -> Option<Fault> {
        if !location.as_ref().contains(self.affected) {
            return None;
        }
        self.faults.lock().unwrap().pop_front()
    }
}

fn lost<T>() -> Result<T> {
    Err(Error::Generic {
        store: "lossy",
        source: "connection reset".into(),
    })
}

#[async_trait]
impl ObjectStore for LossyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.next_fault(location) {
            None => self.inner.put_opts(location, payload, opts).await,
            Some(Fault::LostAnswer) => {
                self.inner.put_opts(location, payload, opts).await?;
                lost()
            }
            Some(Fault::Repeated) => {
                self.inner.put_opts(location, payload.clone(), opts.clone()).await?;
                self.inner.put_opts(location, payload, opts).await
            }
            Some(Fault::LostRequest) => lost(),
            Some(Fault::LostAnswerAfter(then)) => {
                self.inner.put_opts(location, payload, opts).await?;
                then.await;
                lost()
            }
            Some(Fault::LostRequestAfter(then)) => {
                then.await;
                lost()
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, opts).await?;
        Ok(match self.next_fault(location) {
            None => upload,
            Some(_) => Box::new(LossyUpload(upload)),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
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

/// An upload that is completed, but its last answer is lost.
#[derive(Debug)]
struct LossyUpload(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for LossyUpload {
    fn put_part(&mut self, data: PutPayload) -> object_store::UploadPart {
        self.0.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.0.complete().await?;
        lost()
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LossyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossyStore")
    }
}

impl fmt::Display for LossyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossyStore")
    }
}

/// What is stored, past all faults.
pub(crate) async fn stored(store: &LossyStore, path: &str) -> Bytes {
    store.inner.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
}
