//! What is stored, as it is.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::response::Builder;
use axum::http::{Method, header};
use axum::response::Response;
use jetway_odf::storage::NamedObject;
use jetway_odf::transfer::DATASET_ID_HEADER;

use super::{
    DatasetStorage, Failure, HeaderMap, Multihash, ObjectKind, Parameters, Parts, State, StatusCode, Transfers, alias,
    parse_hash,
};

/// What has a hash for its name never changes. Whoever may not see it must not get it from a cache that others fill.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

pub(super) async fn reference(
    State(transfers): State<Transfers>,
    Path((account, dataset, reference)): Parts,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let alias = alias(&account, &dataset)?;
    let storage = transfers.readable(&headers, &alias, parameters.dataset).await?;
    if reference != "head" {
        return Err(Failure::nothing_there());
    }
    let head = storage.head().await?.ok_or_else(Failure::nothing_there)?;
    let answer = Response::builder()
        .header(header::ETAG, etag(&head))
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(DATASET_ID_HEADER, storage.id().to_string());
    if is_known(&headers, &head) {
        return finish(answer.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    finish(
        answer.header(header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        Body::from(head.to_string()),
    )
}

pub(super) async fn block(
    State(transfers): State<Transfers>,
    Path((account, dataset, hash)): Parts,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (alias, hash) = (alias(&account, &dataset)?, parse_hash(&hash)?);
    let storage = transfers.readable(&headers, &alias, parameters.dataset).await?;
    let bytes = storage.block(&hash).await?;
    let answer = Answer::to(&headers, &hash, bytes.len() as u64)?;
    let part = answer.part();
    let (start, end) = (usize::try_from(part.start), usize::try_from(part.end));
    let (Ok(start), Ok(end)) = (start, end) else {
        return Err(Failure::nothing_there());
    };
    answer.finish(Body::from(bytes.slice(start..end)))
}

pub(super) async fn data(
    transfers: State<Transfers>,
    method: Method,
    path: Parts,
    parameters: Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    object(ObjectKind::Data, &transfers, &method, path, &parameters, &headers).await
}

pub(super) async fn checkpoint(
    transfers: State<Transfers>,
    method: Method,
    path: Parts,
    parameters: Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    object(ObjectKind::Checkpoint, &transfers, &method, path, &parameters, &headers).await
}

async fn object(
    kind: ObjectKind,
    transfers: &Transfers,
    method: &Method,
    Path((account, dataset, hash)): Parts,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let (alias, hash) = (alias(&account, &dataset)?, parse_hash(&hash)?);
    let storage = transfers.readable(headers, &alias, parameters.dataset).await?;
    let size = storage.object_size(kind, &hash).await?;
    if let (&Method::HEAD, Some(size), Some(_)) = (method, size, parameters.dataset) {
        // Who pushes wants to know whether it need not be sent.
        if !storage.holds(&NamedObject { kind, hash, size }).await? {
            return Err(Failure::nothing_there());
        }
    }
    let answer = Answer::to(headers, &hash, size.ok_or_else(Failure::nothing_there)?)?;
    let body = if *method == Method::HEAD || !answer.has_body() {
        Body::empty()
    } else {
        open(&storage, kind, &hash, &answer).await?
    };
    answer.finish(body)
}

async fn open(storage: &DatasetStorage, kind: ObjectKind, hash: &Multihash, answer: &Answer) -> Result<Body, Failure> {
    let stream = match &answer.range {
        Some(range) => storage.open_object_range(kind, hash, range.clone()).await?,
        None => storage.open_object(kind, hash).await?,
    };
    Ok(Body::from_stream(stream.bytes))
}

/// The answer to a request for something that never changes.
struct Answer {
    builder: Builder,
    size: u64,
    /// The wanted part; absent if all of it is.
    range: Option<Range<u64>>,
    is_known: bool,
}

impl Answer {
    fn to(headers: &HeaderMap, hash: &Multihash, size: u64) -> Result<Self, Failure> {
        let builder = Response::builder()
            .header(header::ETAG, etag(hash))
            .header(header::CACHE_CONTROL, FOR_EVER)
            .header(header::ACCEPT_RANGES, "bytes");
        let is_known = is_known(headers, hash);
        // A range of something else is not wanted.
        let is_other = headers
            .get(header::IF_RANGE)
            .is_some_and(|wanted| wanted.as_bytes() != etag(hash).as_bytes());
        let range = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
            Some(range) if !is_known && !is_other => parse_range(range, size)?,
            _ => None,
        };
        Ok(Self {
            builder,
            size,
            range,
            is_known,
        })
    }

    fn has_body(&self) -> bool {
        !self.is_known
    }

    fn part(&self) -> Range<u64> {
        self.range.clone().unwrap_or(0..self.size)
    }

    fn finish(self, body: Body) -> Result<Response, Failure> {
        if self.is_known {
            return finish(self.builder.status(StatusCode::NOT_MODIFIED), Body::empty());
        }
        let part = self.part();
        let mut builder = self
            .builder
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, part.end.saturating_sub(part.start));
        if self.range.is_some() {
            let range = format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), self.size);
            builder = builder
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, range);
        }
        finish(builder, body)
    }
}

/// `bytes=5-9`, `bytes=5-` or `bytes=-5`; what is not understood, and several parts at once, means all of it.
fn parse_range(text: &str, size: u64) -> Result<Option<Range<u64>>, Failure> {
    let parsed = || {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        Some(match (first.trim(), last.trim()) {
            ("", count) => size.saturating_sub(count.parse().ok()?)..size,
            (first, "") => first.parse().ok()?..size,
            (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size),
        })
    };
    match parsed() {
        None => Ok(None),
        Some(range) if range.start < range.end => Ok(Some(range)),
        Some(_) => Err(Failure::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("there are {size} bytes, and none of them is in the range"),
        )),
    }
}

fn etag(hash: &Multihash) -> String {
    format!("\"{hash}\"")
}

/// Whether the caller says that it has this already.
fn is_known(headers: &HeaderMap, hash: &Multihash) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    known.is_some_and(|known| {
        let is_this = |tag: &str| tag.trim().trim_start_matches("W/") == etag(hash);
        known.split(',').any(is_this)
    })
}

fn finish(builder: Builder, body: Body) -> Result<Response, Failure> {
    builder.body(body).map_err(Failure::internal)
}
