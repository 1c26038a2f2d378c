//! One file over HTTP: conditional, redirected, retried, resumed, and whole before anybody reads it.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jetway_odf::metadata::{EventTimeSource, SourceState};
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG as ETAG_HEADER, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED as LAST_MODIFIED_HEADER, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, redirect};
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use url::{Host, Url};

use super::guard::{PublicOnly, Refused, is_public};
use super::{ETAG, FetchOptions, Fetched, FetchedFile, LAST_MODIFIED, etag, event_time, last_modified, value_of};
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

/// What is asked for.
pub(super) struct Target {
    pub(super) url: Url,
    /// The URL for messages.
    pub(super) shown: String,
    /// Headers of the source. They go to the origin of the URL only, not where it redirects to.
    pub(super) headers: HeaderMap,
}

/// A failure, and whether another attempt may do better.
enum Failure {
    Final(Error),
    Passing(Error, Option<Duration>),
}

/// The file as far as it has come.
struct Spool {
    file: File,
    path: TempPath,
    length: u64,
    /// Headers of the answer that the bytes are from.
    headers: HeaderMap,
}

pub(super) async fn fetch(
    target: Target,
    event_time: Option<&EventTimeSource>,
    state: Option<&SourceState>,
    options: &FetchOptions,
) -> Result<Fetched> {
    let located = |error: Error| error.with_context("url", &target.shown);
    let spool = tokio::time::timeout(options.whole_timeout, download(&target, state, options))
        .await
        .map_err(|_| {
            Error::new(
                ErrorKind::ResourceExhausted,
                "the fetch took longer than the operator allows",
            )
            .with_context("seconds", options.whole_timeout.as_secs())
        })
        .and_then(|done| done)
        .map_err(located)?;
    let Some(spool) = spool else {
        return Ok(Fetched::Unchanged);
    };
    let modified = text(&spool.headers, &LAST_MODIFIED_HEADER).and_then(http_date);
    let new_state = match text(&spool.headers, &ETAG_HEADER) {
        Some(value) => Some(etag(value)),
        None => modified.map(last_modified),
    };
    // Not every server answers conditions.
    if new_state.is_some() && new_state.as_ref() == state {
        return Ok(Fetched::Unchanged);
    }
    Ok(Fetched::Changed(FetchedFile {
        event_time: event_time::of(event_time, target.url.path(), modified).map_err(located)?,
        input: Input {
            name: target.shown,
            content: Content::Temporary(spool.path),
        },
        state: new_state,
        has_more: false,
    }))
}

/// The whole file, or nothing if it did not change.
async fn download(target: &Target, state: Option<&SourceState>, options: &FetchOptions) -> Result<Option<Spool>> {
    let client = client(options)?;
    let mut spool = Spool::new(options)?;
    let mut attempt = 0;
    loop {
        let (error, asked) = match spool.attempt(&client, target, state, options).await {
            Ok(true) => return Ok(Some(spool)),
            Ok(false) => return Ok(None),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(error, asked)) => (error, asked),
        };
        if attempt == options.retries {
            return Err(error.with_context("attempts", u64::from(attempt) + 1));
        }
        let wait = asked
            .unwrap_or_else(|| backoff(attempt, options))
            .min(options.max_backoff);
        tracing::debug!(url = target.shown, %error, ?wait, "fetch is retried");
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

impl Spool {
    fn new(options: &FetchOptions) -> Result<Self> {
        let file = match &options.temp_dir {
            Some(folder) => NamedTempFile::new_in(folder),
            None => NamedTempFile::new(),
        };
        let (file, path) = file.map_err(spool_failed)?.into_parts();
        Ok(Self {
            file: File::from_std(file),
            path,
            length: 0,
            headers: HeaderMap::new(),
        })
    }

    /// Asks for what is missing and takes it. False if the file did not change.
    async fn attempt(
        &mut self,
        client: &Client,
        target: &Target,
        state: Option<&SourceState>,
        options: &FetchOptions,
    ) -> Result<bool, Failure> {
        let resumed = self.resume_headers();
        let conditions = if self.length > 0 { resumed } else { conditions(state) };
        let response = ask(client, target, &conditions, options).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if state.is_some() => return Ok(false),
            StatusCode::PARTIAL_CONTENT if self.length > 0 && continues(&response, self.length) => {}
            StatusCode::OK => {
                self.restart().await?;
                self.headers = response.headers().clone();
            }
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT if self.length > 0 => {
                self.restart().await?;
                return Err(passing("the server does not continue its answer where it was cut off"));
            }
            _ => return Err(refused(&response)),
        }
        self.take(response, options).await?;
        Ok(true)
    }

    /// Headers that ask for the rest, if the server can tell whether it is still the same file.
    fn resume_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let ranges = text(&self.headers, &ACCEPT_RANGES).is_some_and(|ranges| ranges.eq_ignore_ascii_case("bytes"));
        let validator = (self.headers.get(ETAG_HEADER))
            .filter(|etag| !etag.as_bytes().starts_with(b"W/"))
            .or_else(|| {
                self.headers
                    .get(LAST_MODIFIED_HEADER)
                    .filter(|_| !self.headers.contains_key(ETAG_HEADER))
            });
        if let (true, Some(validator), Ok(range)) = (
            ranges,
            validator,
            HeaderValue::from_str(&format!("bytes={}-", self.length)),
        ) {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator.clone());
        }
        headers
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.length = 0;
        self.file
            .set_len(0)
            .await
            .map_err(|error| Failure::Final(spool_failed(error)))?;
        self.file
            .rewind()
            .await
            .map_err(|error| Failure::Final(spool_failed(error)))?;
        Ok(())
    }

    async fn take(&mut self, mut response: Response, options: &FetchOptions) -> Result<(), Failure> {
        let too_large = || {
            Failure::Final(
                Error::new(
                    ErrorKind::ResourceExhausted,
                    "the file is larger than the operator allows",
                )
                .with_context("limit in bytes", options.max_bytes),
            )
        };
        let rest = options.max_bytes.saturating_sub(self.length);
        if response.content_length().is_some_and(|length| length > rest) {
            return Err(too_large());
        }
        while let Some(chunk) = idle(response.chunk(), options).await? {
            self.length += chunk.len() as u64;
            if self.length > options.max_bytes {
                return Err(too_large());
            }
            self.file
                .write_all(&chunk)
                .await
                .map_err(|error| Failure::Final(spool_failed(error)))?;
        }
        self.file
            .flush()
            .await
            .map_err(|error| Failure::Final(spool_failed(error)))
    }
}

fn client(options: &FetchOptions) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        // Redirects are followed here, where every hop is checked.
        .redirect(redirect::Policy::none());
    if !options.allow_private_addresses {
        // A proxy would resolve names itself.
        builder = builder.no_proxy().dns_resolver(Arc::new(PublicOnly));
    }
    builder
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, "the HTTP client cannot be set up").with_source(error))
}

/// The answer at the end of all redirects.
async fn ask(
    client: &Client,
    target: &Target,
    conditions: &HeaderMap,
    options: &FetchOptions,
) -> Result<Response, Failure> {
    let mut url = target.url.clone();
    for _ in 0..=options.max_redirects {
        check_address(&url, options)?;
        let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if url.origin() == target.url.origin() {
            request = request.headers(target.headers.clone());
        }
        let response = idle(request.headers(conditions.clone()).send(), options).await?;
        let location = match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => text(response.headers(), &LOCATION),
            _ => None,
        };
        let Some(location) = location else {
            return Ok(response);
        };
        let next = url
            .join(location)
            .ok()
            .filter(|next| matches!(next.scheme(), "http" | "https"));
        let next = next.ok_or_else(|| {
            Failure::Final(Error::new(
                ErrorKind::Unsupported,
                "the server redirects to something that is not HTTP",
            ))
        })?;
        if url.scheme() == "https" && next.scheme() == "http" {
            return Err(Failure::Final(Error::new(
                ErrorKind::Unsupported,
                "the server redirects from https to http, which is not followed; name the http URL if that is wanted",
            )));
        }
        url = next;
    }
    Err(Failure::Final(
        Error::new(ErrorKind::Unsupported, "the server redirects too often")
            .with_context("limit", options.max_redirects),
    ))
}

/// Refuses URLs that name a private address; names are checked when they are resolved.
fn check_address(url: &Url, options: &FetchOptions) -> Result<(), Failure> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    if options.allow_private_addresses || is_public(address) {
        return Ok(());
    }
    Err(private())
}

fn private() -> Failure {
    Failure::Final(Error::new(
        ErrorKind::Unsupported,
        "the URL leads to a private network, which the operator does not allow",
    ))
}

/// Something of the server, which must not take longer than the idle timeout.
async fn idle<T>(work: impl Future<Output = reqwest::Result<T>>, options: &FetchOptions) -> Result<T, Failure> {
    match tokio::time::timeout(options.idle_timeout, work).await {
        Err(_) => Err(passing("the server sent nothing for too long")),
        Ok(Ok(done)) => Ok(done),
        // URLs may hold secrets.
        Ok(Err(error)) => Err(failed(error.without_url())),
    }
}

fn failed(error: reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.is::<Refused>() {
            return private();
        }
        cause = current.source();
    }
    let message = match (error.is_connect(), error.is_body() || error.is_decode()) {
        (true, _) => "the server cannot be reached",
        (_, true) => "the answer of the server was cut off",
        _ => "the request failed",
    };
    Failure::Passing(Error::new(ErrorKind::Unavailable, message).with_source(error), None)
}

fn passing(message: &str) -> Failure {
    Failure::Passing(Error::new(ErrorKind::Unavailable, message), None)
}

/// The meaning of a status that brings no file.
fn refused(response: &Response) -> Failure {
    let status = response.status();
    let error = |kind, message| Error::new(kind, message).with_context("status", status);
    match status.as_u16() {
        408 | 429 | 500..=599 => Failure::Passing(
            error(ErrorKind::Unavailable, "the server cannot answer now"),
            retry_after(response.headers()),
        ),
        404 | 410 => Failure::Final(error(ErrorKind::NotFound, "there is nothing at the URL")),
        401 | 403 => Failure::Final(error(
            ErrorKind::InvalidSource,
            "the server does not allow the request; check the headers of the source and its variables",
        )),
        _ => Failure::Final(error(
            ErrorKind::InvalidSource,
            "the server does not answer the request with a file; check the URL of the source",
        )),
    }
}

/// Seconds, or a date as seen by the clock of the server.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    (http_date(value)? - http_date(text(headers, &DATE)?)?).to_std().ok()
}

fn backoff(attempt: u32, options: &FetchOptions) -> Duration {
    let longest = options
        .first_backoff
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(options.max_backoff);
    longest.mul_f64(1.0 - rand::random::<f64>() / 2.0)
}

fn conditions(state: Option<&SourceState>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(etag) = value_of(state, ETAG).and_then(value) {
        headers.insert(IF_NONE_MATCH, etag);
    }
    let since = value_of(state, LAST_MODIFIED)
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .and_then(|moment| value(&moment.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
    if let Some(since) = since {
        headers.insert(IF_MODIFIED_SINCE, since);
    }
    headers
}

/// Whether a partial answer begins where the last one was cut off.
fn continues(response: &Response, length: u64) -> bool {
    text(response.headers(), &CONTENT_RANGE)
        .and_then(|range| range.strip_prefix("bytes ")?.split_once('-'))
        .is_some_and(|(start, _)| start.parse() == Ok(length))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}

fn spool_failed(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "a temporary file cannot be written; check the folder for temporary files",
    )
    .with_source(error)
}
