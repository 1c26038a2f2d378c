//! From Google's protocol with XML to the one with JSON.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;

const GENERATION_MATCH: &str = "x-goog-if-generation-match";
const GENERATION: &str = "x-goog-generation";

/// A server on a thread of its own, so that it outlives each test.
pub(super) struct Front {
    port: u16,
    state: Arc<State>,
}

struct State {
    backend: String,
    client: reqwest::Client,
    /// The parts of each upload by their number.
    uploads: Mutex<HashMap<String, BTreeMap<u32, Bytes>>>,
    next_upload: AtomicU64,
    /// Number of a part to refuse once; 0 means none.
    refused_part: AtomicU32,
}

/// What the other protocol says of an object that was put.
#[derive(Deserialize)]
struct Stored {
    etag: String,
    generation: String,
}

impl Front {
    pub(super) fn start(backend: u16) -> Self {
        let state = Arc::new(State {
            backend: format!("http://127.0.0.1:{backend}"),
            client: reqwest::Client::new(),
            uploads: Mutex::default(),
            next_upload: AtomicU64::new(1),
            refused_part: AtomicU32::new(0),
        });
        let (sender, port) = std::sync::mpsc::channel();
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                served.serve(listener).await
            });
        });
        Self {
            port: port.recv().unwrap(),
            state,
        }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn refuse_part(&self, number: u32) {
        self.state.refused_part.store(number, Ordering::Relaxed);
    }

    pub(super) fn unfinished_uploads(&self) -> usize {
        self.state.uploads.lock().unwrap().len()
    }
}

impl State {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let state = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(state.answer(request).await) }
                });
                // A client that goes away is none of ours.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (mut head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return status(StatusCode::BAD_REQUEST);
        };
        let body = body.to_bytes();
        let path = head.uri.path().to_owned();
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let condition = head
            .headers
            .get(GENERATION_MATCH)
            .map(|value| value.to_str().unwrap().to_owned());
        match (&head.method, query.get("uploadId"), query.get("partNumber")) {
            (&Method::POST, None, None) if query.contains_key("uploads") => {
                let id = format!("upload-{}", self.next_upload.fetch_add(1, Ordering::Relaxed));
                self.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
                xml(format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            (&Method::PUT, Some(id), Some(number)) => {
                let refused = self.refused_part.load(Ordering::Relaxed);
                if refused > 0 && *number == refused.to_string() {
                    self.refused_part.store(0, Ordering::Relaxed);
                    return status(StatusCode::BAD_REQUEST);
                }
                match (self.uploads.lock().unwrap().get_mut(id), number.parse()) {
                    (Some(parts), Ok(number)) => {
                        parts.insert(number, body);
                        let mut answer = status(StatusCode::OK);
                        answer
                            .headers_mut()
                            .insert("etag", format!("\"part-{number}\"").parse().unwrap());
                        answer
                    }
                    _ => status(StatusCode::NOT_FOUND),
                }
            }
            (&Method::POST, Some(id), None) => {
                let Some(parts) = self.uploads.lock().unwrap().remove(id) else {
                    return status(StatusCode::NOT_FOUND);
                };
                let bytes: Vec<Bytes> = parts.into_values().collect();
                match self.put(&path, bytes.concat().into(), None).await {
                    Ok(stored) => {
                        let mut answer = xml(format!(
                            "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
                            stored.etag
                        ));
                        answer
                            .headers_mut()
                            .insert(GENERATION, stored.generation.parse().unwrap());
                        answer
                    }
                    Err(refused) => status(refused),
                }
            }
            (&Method::DELETE, Some(id), None) => match self.uploads.lock().unwrap().remove(id) {
                Some(_) => status(StatusCode::NO_CONTENT),
                None => status(StatusCode::NOT_FOUND),
            },
            (&Method::PUT, None, None) => match self.put(&path, body, condition).await {
                Ok(stored) => {
                    let mut answer = status(StatusCode::OK);
                    answer
                        .headers_mut()
                        .insert("etag", format!("\"{}\"", stored.etag).parse().unwrap());
                    answer
                        .headers_mut()
                        .insert(GENERATION, stored.generation.parse().unwrap());
                    answer
                }
                Err(refused) => status(refused),
            },
            _ => {
                // The server knows itself by its own name only.
                head.headers.remove(HOST);
                let url = format!("{}{}", self.backend, head.uri);
                let sent = self
                    .client
                    .request(head.method, url)
                    .headers(head.headers)
                    .body(body)
                    .send()
                    .await;
                let Ok(answer) = sent else {
                    return status(StatusCode::BAD_GATEWAY);
                };
                let mut passed = status(answer.status());
                *passed.headers_mut() = answer.headers().clone();
                let Ok(body) = answer.bytes().await else {
                    return status(StatusCode::BAD_GATEWAY);
                };
                *passed.body_mut() = body.into();
                passed
            }
        }
    }

    /// Puts an object at `/bucket/name`, both percent-encoded, if it has the generation.
    async fn put(&self, path: &str, bytes: Bytes, generation: Option<String>) -> Result<Stored, StatusCode> {
        let (bucket, name) = path
            .trim_start_matches('/')
            .split_once('/')
            .ok_or(StatusCode::BAD_REQUEST)?;
        let name = object_store::path::Path::from_url_path(name).map_err(|_| StatusCode::BAD_REQUEST)?;
        let condition = generation.map_or_else(String::new, |generation| format!("&ifGenerationMatch={generation}"));
        let url = format!(
            "{}/upload/storage/v1/b/{bucket}/o?uploadType=multipart{condition}",
            self.backend
        );
        // Of all kinds of uploads, the server honors conditions in this one.
        let boundary = format!("{:032x}", rand::random::<u128>());
        let metadata = serde_json::json!({ "name": name.as_ref() });
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/related; boundary={boundary}");
        let request = self.client.post(url).header(CONTENT_TYPE, kind).body(body);
        let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        if !answer.status().is_success() {
            return Err(answer.status());
        }
        let bytes = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        serde_json::from_slice(&bytes).map_err(|_| StatusCode::BAD_GATEWAY)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn xml(text: String) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}
