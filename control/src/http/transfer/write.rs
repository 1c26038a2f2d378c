//! What is pushed: first everything that has a hash, then the head.

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query};
use axum::http::header;
use futures::TryStreamExt;
use jetway_odf::codec::{MAX_BLOCK_SIZE, decode_block};
use jetway_odf::storage::{HeadSwap, NamedObject};
use jetway_odf::transfer::{PushedChain, check_pushed, store_object};
use jetway_odf::{Error, ErrorKind};

use super::{
    Failure, HeaderMap, Multihash, ObjectKind, Parameters, Parts, State, StatusCode, Transfers, alias, object_name,
    parse_hash,
};

/// Longest hash that is taken as a head.
const MAX_HEAD: usize = 256;

pub(super) async fn block(
    State(transfers): State<Transfers>,
    Path((account, dataset, hash)): Parts,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let (alias, hash) = (alias(&account, &dataset)?, parse_hash(&hash)?);
    let (_, storage) = transfers.writable(&headers, &alias, parameters.dataset).await?;
    let bytes = to_bytes(body, MAX_BLOCK_SIZE).await.map_err(|_| {
        let message = format!("a block has at most {MAX_BLOCK_SIZE} bytes, and all of them must arrive");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    })?;
    decode_block(&bytes).map_err(Failure::of_push)?;
    storage.put_block(hash, bytes).await.map_err(Failure::of_push)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn data(
    transfers: State<Transfers>,
    path: Parts,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    object(ObjectKind::Data, &transfers, path, &parameters, &headers, body).await
}

pub(super) async fn checkpoint(
    transfers: State<Transfers>,
    path: Parts,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    object(ObjectKind::Checkpoint, &transfers, path, &parameters, &headers, body).await
}

async fn object(
    kind: ObjectKind,
    transfers: &Transfers,
    Path((account, dataset, hash)): Parts,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let (alias, hash) = (alias(&account, &dataset)?, parse_hash(&hash)?);
    let (_, storage) = transfers.writable(headers, &alias, parameters.dataset).await?;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let size = length
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| Failure::new(StatusCode::LENGTH_REQUIRED, "an object is sent with its Content-Length"))?;
    if size > transfers.max_upload {
        let message = format!("an object may have {} bytes at most here", transfers.max_upload);
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let bytes = body.into_data_stream().map_err(|error| {
        // The caller went away, so nobody reads this.
        Error::new(ErrorKind::Malformed, "the object did not arrive as a whole").with_source(error)
    });
    let stored = store_object(&storage, &NamedObject { kind, hash, size }, bytes).await;
    stored.map_err(Failure::of_push)?;
    tracing::debug!(dataset.id = %storage.id(), object.name = object_name(kind, &hash), object.size = size, "an object was received");
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the chain that the body names the head of, and moves the head there. `If-Match` says from where, `If-None-Match: *`
/// that there is none yet; one of them must be given.
pub(super) async fn reference(
    State(transfers): State<Transfers>,
    Path((account, dataset, reference)): Parts,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let alias = alias(&account, &dataset)?;
    let (subject, storage) = transfers.writable(&headers, &alias, parameters.dataset).await?;
    if reference != "head" {
        return Err(Failure::nothing_there());
    }
    let expected = expected_head(&headers)?;
    let body = to_bytes(body, MAX_HEAD).await.ok();
    let new: Multihash = body
        .and_then(|body| std::str::from_utf8(&body).ok()?.trim().parse().ok())
        .ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "the body must be the hash of the new head"))?;

    let actual = storage.head().await?;
    if actual == Some(new) {
        return Ok(StatusCode::NO_CONTENT);
    }
    if actual != expected {
        return Err(moved(actual));
    }
    match check_pushed(&storage, expected, new).await.map_err(Failure::of_push)? {
        PushedChain::Rewrites if !parameters.force => {
            let message = "blocks that are here would be lost; push with force=true if that is wanted";
            return Err(Failure::new(StatusCode::CONFLICT, message));
        }
        PushedChain::Rewrites | PushedChain::Forward => {}
    }
    match transfers
        .catalog
        .publish(&subject, &alias, &storage, expected, new)
        .await?
    {
        HeadSwap::Swapped => {
            tracing::info!(dataset.id = %storage.id(), dataset.alias = %alias, account.name = %subject.name(), dataset.head = %new, "a dataset was pushed");
            Ok(StatusCode::NO_CONTENT)
        }
        HeadSwap::Conflict { actual } => Err(moved(actual)),
    }
}

fn expected_head(headers: &HeaderMap) -> Result<Option<Multihash>, Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (Some(tag), None) => tag.trim_matches('"').parse().map(Some).map_err(|_| {
            Failure::new(
                StatusCode::BAD_REQUEST,
                "If-Match must be the hash of a block in quotes",
            )
        }),
        (None, Some("*")) => Ok(None),
        _ => Err(Failure::new(
            StatusCode::PRECONDITION_REQUIRED,
            "say where the head moves from: If-Match with the hash in quotes, or If-None-Match: * for a new dataset",
        )),
    }
}

fn moved(actual: Option<Multihash>) -> Failure {
    let message = match actual {
        Some(actual) => format!("the head is another one by now: {actual}"),
        None => "there is no head to move".to_owned(),
    };
    Failure::new(StatusCode::PRECONDITION_FAILED, message)
}
