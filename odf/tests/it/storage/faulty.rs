//! An object store behind a bad network.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What happens to one request.
pub(crate) enum Fault {
    /// It does not get through in time.
    LostRequest,
    /// The server has too much to do, or fails.
    Refused(&'static str),
    /// It takes a while.
    Slow(Duration),
    /// It is done, but its answer is lost.
    LostAnswer,
    /// Its answer is lost, and the client repeats it and passes on what came of the repetition, as clients of stores do.
    Repeated,
    /// It is done, then the future, then its answer is lost.
    LostAnswerAfter(BoxFuture<'static, ()>),
    /// The future is done, and then it does not get through.
    LostRequestAfter(BoxFuture<'static, ()>),
    /// The bytes that are read end early.
    CutShort,
    /// The connection breaks while bytes are read.
    Broken,
}

/// Which requests meet which faults.
#[expect(clippy::large_enum_variant, reason = "there is one for each store")]
enum Plan {
    /// Puts to paths that have `affected` in them meet the faults, one each, before they go well.
    Script {
        affected: &'static str,
        faults: VecDeque<Fault>,
    },
    /// Any request may meet any fault that it can, with a probability of `share`.
    Random { random: StdRng, share: f64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Read,
    List,
    /// Puts, and the last request of an upload in parts.
    Write,
    /// What may be repeated at will.
    Part,
}

/// A store in memory whose requests meet faults.
pub(crate) struct FaultyStore {
    inner: Arc<InMemory>,
    plan: Arc<Mutex<Plan>>,
    age: Mutex<TimeDelta>,
}

impl FaultyStore {
    /// Puts to paths that have `affected` in them will meet the faults that are injected.
    pub(crate) fn scripted(affected: &'static str) -> Arc<Self> {
        let faults = VecDeque::new();
        Self::over(Arc::default(), Plan::Script { affected, faults })
    }

    /// A share of all requests meets faults: the same ones each time, for the same order of requests.
    pub(crate) fn random(inner: Arc<InMemory>, seed: u64, share: f64) -> Arc<Self> {
        let random = StdRng::seed_from_u64(seed);
        Self::over(inner, Plan::Random { random, share })
    }

    fn over(inner: Arc<InMemory>, plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            inner,
            plan: Arc::new(Mutex::new(plan)),
            age: Mutex::default(),
        })
    }

    /// Everything seems to have been there for so long, also what is put later.
    pub(crate) fn set_age(&self, age: TimeDelta) {
        *self.age.lock().unwrap() = age;
    }

    pub(crate) fn inject(&self, injected: impl IntoIterator<Item = Fault>) {
        match &mut *self.plan.lock().unwrap() {
            Plan::Script { faults, .. } => faults.extend(injected),
            Plan::Random { .. } => panic!("the faults of this store are random"),
        }
    }

    /// How many injected faults have not happened yet.
    pub(crate) fn faults_left(&self) -> usize {
        match &*self.plan.lock().unwrap() {
            Plan::Script { faults, .. } => faults.len(),
            Plan::Random { .. } => 0,
        }
    }

    /// What is stored, past all faults.
    pub(crate) async fn stored(&self, path: &str) -> Bytes {
        self.inner.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
    }

    fn fault(&self, request: Request, location: &Path) -> Option<Fault> {
        self.plan.lock().unwrap().next(request, location)
    }
}

impl Plan {
    fn next(&mut self, request: Request, location: &Path) -> Option<Fault> {
        match self {
            Self::Script { affected, faults } => {
                let is_affected = request == Request::Write && location.as_ref().contains(*affected);
                is_affected.then(|| faults.pop_front()).flatten()
            }
            Self::Random { random, share } => {
                if !random.random_bool(*share) {
                    return None;
                }
                let special: &[fn() -> Fault] = match request {
                    Request::Read => &[|| Fault::CutShort, || Fault::Broken],
                    Request::Write => &[|| Fault::LostAnswer, || Fault::Repeated],
                    Request::List | Request::Part => &[],
                };
                let common: [fn() -> Fault; 4] = [
                    || Fault::LostRequest,
                    || Fault::Refused("500 Internal Server Error"),
                    || Fault::Refused("503 Slow Down"),
                    || Fault::Slow(Duration::from_millis(2)),
                ];
                let faults = [&common[..], special].concat();
                Some(faults[random.random_range(0..faults.len())]())
            }
        }
    }
}

fn failed<T>(reason: &str) -> Result<T> {
    Err(Error::Generic {
        store: "faulty",
        source: reason.into(),
    })
}

fn lost<T>() -> Result<T> {
    failed("connection reset")
}

/// A request before which nothing but a failure or a pause can happen.
async fn before(fault: Option<Fault>) -> Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Some(Fault::Refused(status)) => failed(status),
        Some(_) => failed("timed out"),
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.fault(Request::Write, location) {
            Some(Fault::LostAnswer) => {
                self.inner.put_opts(location, payload, opts).await?;
                lost()
            }
            Some(Fault::Repeated) => {
                self.inner.put_opts(location, payload.clone(), opts.clone()).await?;
                self.inner.put_opts(location, payload, opts).await
            }
            Some(Fault::LostAnswerAfter(then)) => {
                self.inner.put_opts(location, payload, opts).await?;
                then.await;
                lost()
            }
            Some(Fault::LostRequestAfter(then)) => {
                then.await;
                lost()
            }
            fault => {
                before(fault).await?;
                self.inner.put_opts(location, payload, opts).await
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        before(self.fault(Request::Part, location)).await?;
        let upload = self.inner.put_multipart_opts(location, opts).await?;
        let (location, plan) = (location.clone(), Arc::clone(&self.plan));
        Ok(Box::new(FaultyUpload { upload, location, plan }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_examined = options.head;
        let fault = self.fault(if is_examined { Request::List } else { Request::Read }, location);
        match fault {
            Some(Fault::CutShort) => half(self.inner.get_opts(location, options).await?, None).await,
            Some(Fault::Broken) => half(self.inner.get_opts(location, options).await?, Some(lost())).await,
            fault => {
                before(fault).await?;
                let mut found = self.inner.get_opts(location, options).await?;
                found.meta.last_modified -= *self.age.lock().unwrap();
                Ok(found)
            }
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        before(self.fault(Request::List, location)).await?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let fault = self.fault(Request::List, &Path::default());
        let listed = self.inner.list(prefix);
        stream::once(async move { before(fault).await.map(|()| listed) })
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        before(self.fault(Request::List, &Path::default())).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The first half of what was read, and then the end or a failure.
async fn half(result: GetResult, end: Option<Result<Bytes>>) -> Result<GetResult> {
    let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
    let bytes = result.bytes().await?;
    let pieces = [Some(Ok(bytes.slice(..bytes.len() / 2))), end];
    Ok(GetResult {
        payload: GetResultPayload::Stream(stream::iter(pieces.into_iter().flatten()).boxed()),
        meta,
        range,
        attributes,
    })
}

struct FaultyUpload {
    upload: Box<dyn MultipartUpload>,
    location: Path,
    plan: Arc<Mutex<Plan>>,
}

impl fmt::Debug for FaultyUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyUpload")
    }
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let fault = self.plan.lock().unwrap().next(Request::Part, &self.location);
        let part = self.upload.put_part(data);
        Box::pin(async move {
            before(fault).await?;
            part.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let fault = self.plan.lock().unwrap().next(Request::Write, &self.location);
        match fault {
            Some(Fault::LostAnswer | Fault::Repeated | Fault::LostAnswerAfter(_)) => {
                self.upload.complete().await?;
                lost()
            }
            fault => {
                before(fault).await?;
                self.upload.complete().await
            }
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}
