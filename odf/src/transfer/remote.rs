//! The simple transfer protocol's client.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::codec::{self, MAX_BLOCK_SIZE, ManifestVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetId, Multihash};
use crate::storage::{self, HeadSwap, NamedObject};

/// The header of `refs/head` in which our own nodes say which dataset it is. Others need not know it.
pub const DATASET_ID_HEADER: &str = "odf-dataset-id";

/// Longest answer that is no block and no object: a head, or what a server says of a failure.
const MAX_TEXT: usize = 16 * 1024;

/// Blocks that are on their way to a server at the same time.
const CONCURRENT_BLOCKS: usize = 8;

/// Blocks that were read are remembered up to so many bytes, because the first walk along a chain may only look for its Seed.
const REMEMBERED_BYTES: usize = 16 << 20;

/// How long a server may take to check a chain and move the head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How long anything may take to be stored, apart from the time for its bytes at [`SLOWEST_UPLOAD`].
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The slowest upload that is waited for, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 << 10;

/// How often an idle connection is tried while something is uploaded: nothing else shows that the server is gone.
const UPLOAD_KEEPALIVE: Duration = Duration::from_secs(30);

/// How to reach a dataset over HTTP.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Sent as `Authorization: Bearer`.
    pub token: Option<SecretString>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the server may be silent in the middle of an answer.
    pub read_timeout: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            token: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// A dataset behind HTTP. Cheap to clone.
#[derive(Clone)]
pub struct RemoteDataset {
    base: Url,
    client: Client,
    /// For what is written: the time up to an answer grows with what is sent, so no read timeout fits.
    uploads: Client,
    token: Option<SecretString>,
    /// Sent along with what is written, so that the server knows where to keep it before the dataset exists.
    pushed_id: Option<DatasetId>,
    remembered: Arc<Mutex<Remembered>>,
}

#[derive(Default)]
struct Remembered {
    blocks: HashMap<Multihash, Bytes>,
    bytes: usize,
}

impl fmt::Debug for RemoteDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteDataset")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// What a server says of a dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct RemoteHead {
    pub(super) hash: Multihash,
    pub(super) dataset_id: Option<DatasetId>,
}

impl RemoteDataset {
    /// The dataset at `http(s)://host/account/name`; `odf+http(s)://` means the same. Nothing is asked yet.
    ///
    /// # Errors
    /// `Malformed` if the URL is of another kind or has credentials, a query or a fragment.
    pub fn open(url: &str, options: &RemoteOptions) -> Result<Self> {
        let address = url.strip_prefix("odf+").unwrap_or(url);
        let base = Url::parse(address)
            .ok()
            .filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host());
        // A URL that is refused may hold a secret, so it is not repeated.
        let base = base
            .ok_or_else(|| Error::malformed("a remote dataset's address must look like https://host/account/name"))?;
        if base.query().is_some()
            || base.fragment().is_some()
            || !base.username().is_empty()
            || base.password().is_some()
        {
            let message =
                "a remote dataset's address must have no credentials, query or fragment; give a token instead";
            return Err(Error::malformed(message));
        }
        let builder = || {
            Client::builder()
                .connect_timeout(options.connect_timeout)
                .user_agent(concat!("jetway/", env!("CARGO_PKG_VERSION")))
        };
        let failed = |error| Error::new(ErrorKind::Io, "the HTTP client cannot start").with_source(error);
        let client = builder().read_timeout(options.read_timeout).build().map_err(failed)?;
        let uploads = builder().tcp_keepalive(UPLOAD_KEEPALIVE).build().map_err(failed)?;
        Ok(Self {
            base,
            client,
            uploads,
            token: options.token.clone(),
            pushed_id: None,
            remembered: Arc::default(),
        })
    }

    /// The same dataset for a copy of the dataset `id` to it, which makes it if it is not there.
    #[must_use]
    pub fn for_push_of(mut self, id: DatasetId) -> Self {
        self.pushed_id = Some(id);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.base
    }

    pub(super) async fn head(&self) -> Result<Option<RemoteHead>> {
        let request = self.request(Method::GET, &["refs", "head"])?;
        let Some(response) = self.find(request).await? else {
            return Ok(None);
        };
        let dataset_id = text(response.headers(), &HeaderName::from_static(DATASET_ID_HEADER));
        let dataset_id = dataset_id.and_then(|id| id.parse().ok());
        let bytes = self.read(response, MAX_TEXT).await?;
        let hash = storage::parse_head(&bytes).map_err(|error| self.at(error))?;
        Ok(Some(RemoteHead { hash, dataset_id }))
    }

    /// The bytes of a block, which have that hash.
    pub(super) async fn block(&self, hash: &Multihash) -> Result<Bytes> {
        if let Some(bytes) = self.remembered().blocks.get(hash) {
            return Ok(bytes.clone());
        }
        let request = self.request(Method::GET, &["blocks", &hash.to_string()])?;
        let response = self.find(request).await?.ok_or_else(|| {
            let error = Error::new(
                ErrorKind::NotFound,
                "the server does not have a block that its chain names",
            );
            self.at(error).with_context("block", hash)
        })?;
        let served = self.read(response, MAX_BLOCK_SIZE).await;
        let served = served.map_err(|error| error.with_context("block", hash))?;
        let bytes = original_block(served, hash).map_err(|error| self.at(error))?;
        let mut remembered = self.remembered();
        if remembered.bytes + bytes.len() <= REMEMBERED_BYTES {
            remembered.bytes += bytes.len();
            remembered.blocks.insert(*hash, bytes.clone());
        }
        Ok(bytes)
    }

    pub(super) async fn object_size(&self, object: &NamedObject) -> Result<Option<u64>> {
        let request = self.request(Method::HEAD, &[object.kind.folder(), &object.hash.to_string()])?;
        let Some(response) = self.find(request).await? else {
            return Ok(None);
        };
        let size = text(response.headers(), &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        size.map(Some).ok_or_else(|| {
            let message = "the server does not say how long an object is (Content-Length)";
            self.at(Error::malformed(message)).with_context("object", object.hash)
        })
    }

    /// The bytes of an object from `from` on. A server that knows no ranges sends all of them; then the first are thrown away.
    pub(super) async fn open_object(
        &self,
        object: &NamedObject,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut request = self.request(Method::GET, &[object.kind.folder(), &object.hash.to_string()])?;
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = self.find(request).await?.ok_or_else(|| {
            let error = Error::new(
                ErrorKind::NotFound,
                "the server does not have an object that its chain names",
            );
            self.at(error).with_context("object", object.hash)
        })?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(response.headers()),
            _ => Some(0),
        };
        let mut unwanted = start.and_then(|start| from.checked_sub(start)).ok_or_else(|| {
            let message = "the server sent another part of an object than it was asked for";
            self.at(Error::malformed(message)).with_context("object", object.hash)
        })?;
        let place = self.base.clone();
        let bytes = response.bytes_stream().map_err(move |error| failed(&place, error));
        let wanted = bytes.try_filter_map(move |mut piece| {
            let skipped = unwanted.min(piece.len() as u64);
            unwanted -= skipped;
            let rest = piece.split_off(usize::try_from(skipped).unwrap_or(piece.len()));
            std::future::ready(Ok((!rest.is_empty()).then_some(rest)))
        });
        Ok(wanted.boxed())
    }

    pub(super) async fn put_object(
        &self,
        object: &NamedObject,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let request = self
            .request(Method::PUT, &[object.kind.folder(), &object.hash.to_string()])?
            .timeout(upload_timeout(object.size))
            .header(header::CONTENT_LENGTH, object.size)
            .body(Body::wrap_stream(bytes));
        self.send(request).await.map(drop)
    }

    pub(super) async fn put_blocks(&self, blocks: Vec<(Multihash, Bytes)>) -> Result<()> {
        let puts = blocks.into_iter().map(|(hash, bytes)| async move {
            let request = self.request(Method::PUT, &["blocks", &hash.to_string()])?;
            let request = request.timeout(upload_timeout(bytes.len() as u64));
            self.send(request.body(bytes)).await.map(drop)
        });
        stream::iter(puts)
            .buffer_unordered(CONCURRENT_BLOCKS)
            .try_collect()
            .await
    }

    /// Asks the server to check the new chain and to move the head there.
    pub(super) async fn put_head(&self, expected: Option<Multihash>, new: Multihash, force: bool) -> Result<HeadSwap> {
        let request = self.request(Method::PUT, &["refs", "head"])?.body(new.to_string());
        let mut request = request.timeout(HEAD_TIMEOUT);
        request = match expected {
            Some(expected) => request.header(header::IF_MATCH, format!("\"{expected}\"")),
            None => request.header(header::IF_NONE_MATCH, "*"),
        };
        if force {
            request = request.query(&[("force", "true")]);
        }
        match self.send(request).await {
            Ok(_) => Ok(HeadSwap::Swapped),
            Err(error) if error.kind() == ErrorKind::Conflict && error.is_retryable() => {
                let actual = self.head().await?.map(|head| head.hash);
                Ok(if actual == Some(new) {
                    HeadSwap::Swapped
                } else {
                    HeadSwap::Conflict { actual }
                })
            }
            Err(error) => Err(error),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::malformed("a remote dataset's address must have a path"))?
            .pop_if_empty()
            .extend(path);
        let client = match method {
            Method::PUT => &self.uploads,
            _ => &self.client,
        };
        let mut request = client.request(method, url);
        if let Some(id) = &self.pushed_id {
            request = request.query(&[("dataset", id.to_string())]);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        Ok(request)
    }

    /// The answer to a request; `None` if there is nothing at the address.
    async fn find(&self, request: RequestBuilder) -> Result<Option<Response>> {
        match self.send(request).await {
            Ok(response) => Ok(Some(response)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| failed(&self.base, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    /// What an answer means that is no success.
    async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let reason = match self.read(response, MAX_TEXT).await {
            Ok(body) => reason(&body),
            Err(_) => None,
        };
        let say = |message: &str| reason.clone().unwrap_or_else(|| message.to_owned());
        let error = match status {
            StatusCode::NOT_FOUND => Error::new(ErrorKind::NotFound, say("the server has no such thing")),
            StatusCode::UNAUTHORIZED => Error::new(
                ErrorKind::Storage,
                format!(
                    "{}; give a token that counts there",
                    say("the server wants credentials")
                ),
            ),
            StatusCode::FORBIDDEN => Error::new(ErrorKind::Storage, say("the server does not allow it")),
            // The head moved; a conflict of another kind does not go away.
            StatusCode::PRECONDITION_FAILED => {
                Error::new(ErrorKind::Conflict, say("somebody else was faster")).retryable()
            }
            StatusCode::CONFLICT => Error::new(ErrorKind::Conflict, say("the server has something else there")),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Error::new(ErrorKind::Storage, say("the server asks to try again later")).retryable()
            }
            status if status.is_server_error() => Error::new(ErrorKind::Storage, say("the server failed")).retryable(),
            _ => Error::new(ErrorKind::Storage, say("the server refused the request")),
        };
        self.at(error).with_context("status", status.as_u16())
    }

    /// A whole answer of limited length.
    async fn read(&self, mut response: Response, limit: usize) -> Result<Bytes> {
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failed(&self.base, error))? {
            if bytes.len() + piece.len() > limit {
                let error = Error::new(
                    ErrorKind::Corrupt,
                    "the server's answer is longer than anything that belongs there",
                );
                return Err(self.at(error).with_context("limit", limit));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    fn at(&self, error: Error) -> Error {
        error.with_context("url", &self.base)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a server may take to store so many bytes.
fn upload_timeout(size: u64) -> Duration {
    UPLOAD_TIMEOUT.saturating_add(Duration::from_secs(size / SLOWEST_UPLOAD))
}

/// The bytes that have the hash: those that were served, or else the canonical form of what they say. Some servers encode
/// blocks anew, always in the newest version, although the chain names the older bytes.
fn original_block(served: Bytes, hash: &Multihash) -> Result<Bytes> {
    let actual = Multihash::sha3_256(&served);
    if actual == *hash {
        return Ok(served);
    }
    if let Ok(block) = codec::decode_block(&served) {
        for version in [ManifestVersion::V2, ManifestVersion::V3] {
            let encoded = codec::encode_block(&block, version);
            if let Some(encoded) = encoded.ok().filter(|bytes| Multihash::sha3_256(bytes) == *hash) {
                return Ok(encoded.into());
            }
        }
    }
    let message = "a block that the server sent does not have the hash that it was asked for by, nor has any form of it that is \
                   known; copy the dataset from its storage instead";
    Err(Error::new(ErrorKind::Corrupt, message)
        .with_context("block", hash)
        .with_context("actual", actual))
}

/// The first position of `Content-Range: bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, &header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What a server says of a failure: the `message` of a JSON object, or a short text.
fn reason(body: &[u8]) -> Option<String> {
    let message = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => value.get("message")?.as_str()?.to_owned(),
        Err(_) => std::str::from_utf8(body).ok()?.trim().to_owned(),
    };
    let is_readable = !message.is_empty() && message.len() <= 500 && !message.contains(['<', '\n', '\u{1b}']);
    is_readable.then_some(message)
}

/// A failure on the way. The URL may name a redirect's target with a secret in it, so only ours is shown.
fn failed(base: &Url, error: reqwest::Error) -> Error {
    let is_passing = !(error.is_builder() || error.is_redirect());
    let message = match () {
        () if error.is_timeout() => "the server did not answer in time",
        () if error.is_connect() => "the server cannot be reached",
        () => "the connection to the server failed",
    };
    let error = Error::new(ErrorKind::Storage, message)
        .with_context("url", base)
        .with_source(error.without_url());
    if is_passing { error.retryable() } else { error }
}
