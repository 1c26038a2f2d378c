//! Queries over HTTP, with proofs if they are asked for, and the verification of proofs.
//!
//! ```text
//! GET, POST  /query     runs a query; rows as JSON, and what `include` names: Input, Schema, Proof
//! POST       /verify    checks a proof, and runs its query again
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jetway_odf::proof::{DidKey, Document, Fault, Include, NodeIdentity, QueryInput, verdict};
use jetway_planner::{Asked, Planner, Subject};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::NO_STORE;
use super::transfer::{Failure, Transfers};
use parameters::{Parameters, VerifyParameters};

mod parameters;

/// Largest document that is verified, in bytes.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// What queries over HTTP need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Runs them.
    pub planner: Planner,
    /// Who is asking, and whether somebody without credentials may.
    pub transfers: Transfers,
    /// Signs answers.
    pub identity: Arc<NodeIdentity>,
    /// How many run at once.
    pub running: Arc<Semaphore>,
    /// How long one waits for its turn.
    pub patience: Duration,
    /// How long one may run.
    pub timeout: Option<Duration>,
    /// Largest answer, in bytes of text.
    pub max_answer: usize,
}

/// The pages, to be merged with [`super::router`].
pub fn router(answers: Answers) -> Router {
    Router::new()
        .route("/query", get(query_by_url).post(query_by_body))
        .route("/verify", post(verify).layer(DefaultBodyLimit::max(MAX_DOCUMENT)))
        .with_state(answers)
}

async fn query_by_url(
    State(answers): State<Answers>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let input = Parameters::read(query.as_deref())?;
    answers.query(&headers, input).await
}

async fn query_by_body(State(answers): State<Answers>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let input = serde_json::from_slice(&body)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("the body is no query: {error}")))?;
    answers.query(&headers, input).await
}

async fn verify(
    State(answers): State<Answers>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, Failure> {
    let signers = VerifyParameters::read(query.as_deref())?;
    let document = Document::parse(&body).map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    answers.verify(&headers, &document, &signers).await
}

impl Answers {
    async fn query(&self, headers: &HeaderMap, input: QueryInput) -> Result<Response, Failure> {
        let subject = self.subject(headers).await?;
        let _turn = self.turn().await?;
        let work = async {
            let asked = self.planner.ask(&subject, input).await?;
            let asked = asked.map_err(|fault| Failure::new(StatusCode::NOT_FOUND, fault.to_string()))?;
            self.answer(&asked).await
        };
        self.in_time(work).await
    }

    async fn answer(&self, asked: &Asked) -> Result<Response, Failure> {
        let answer = asked.answer(Some(self.max_answer)).await?;
        let input = asked.input();
        let mut text = b"{".to_vec();
        if input.include.contains(&Include::Input) {
            member(&mut text, "input", &json!(input));
            text.push(b',');
        }
        // Rows are JSON already, in the very form that was hashed.
        text.extend_from_slice(b"\"output\":{\"data\":");
        text.extend_from_slice(&answer.data);
        text.push(b',');
        member(&mut text, "dataFormat", &json!(input.data_format));
        if let Some((schema, format)) = asked.schema() {
            text.push(b',');
            member(&mut text, "schema", schema);
            text.push(b',');
            member(&mut text, "schemaFormat", &json!(format));
        }
        text.push(b'}');
        if input.include.contains(&Include::Proof) {
            let document = asked.sign(answer.hash, &self.identity)?;
            for (name, value) in [
                ("subQueries", &document.sub_queries),
                ("commitment", &json!(document.commitment)),
                ("proof", &json!(document.proof)),
            ] {
                text.push(b',');
                member(&mut text, name, value);
            }
        }
        text.push(b'}');
        Ok(([NO_STORE, (header::CONTENT_TYPE, JSON)], text).into_response())
    }

    async fn verify(&self, headers: &HeaderMap, document: &Document, signers: &[DidKey]) -> Result<Response, Failure> {
        let subject = self.subject(headers).await?;
        if let Err(fault) = document.check(signers) {
            return Ok(refused(fault));
        }
        let _turn = self.turn().await?;
        let work = async { Ok(self.planner.verify(&subject, document).await?) };
        Ok(match self.in_time(work).await? {
            Ok(()) => ([NO_STORE], axum::Json(verdict(&Ok(())))).into_response(),
            Err(fault) => refused(fault),
        })
    }

    async fn subject(&self, headers: &HeaderMap) -> Result<Subject, Failure> {
        self.transfers.reader(headers).await
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let turn = tokio::time::timeout(self.patience, self.running.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "other queries are running, and it was not the turn of this one within {} s; try again later",
                    self.patience.as_secs()
                ),
            )
        })
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let Some(limit) = self.timeout else {
            return work.await;
        };
        // What is dropped stops.
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Failure::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!(
                    "the query took longer than {} s (query.timeout), so it was stopped",
                    limit.as_secs()
                ),
            ))
        })
    }
}

const JSON: axum::http::HeaderValue = axum::http::HeaderValue::from_static("application/json");

fn member(text: &mut Vec<u8>, name: &str, value: &Value) {
    text.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
}

fn refused(fault: Fault) -> Response {
    (StatusCode::BAD_REQUEST, [NO_STORE], axum::Json(verdict(&Err(fault)))).into_response()
}
