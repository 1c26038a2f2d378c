//! A server of the simple transfer protocol that does what a test wants of it. It speaks just enough HTTP/1.1.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use jetway_odf::storage::DatasetStorage;
use object_store::ObjectStoreExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Ends with the value.
pub(crate) struct FileServer {
    port: u16,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct State {
    /// By path below the dataset's address.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// Answers to the next requests for objects end after so many bytes of body, and the connection with them.
    pub(crate) cuts: Vec<usize>,
    /// The next requests are answered with these codes.
    pub(crate) failures: Vec<u16>,
    /// Whether parts are served.
    pub(crate) no_ranges: bool,
    /// Bytes of objects that were sent.
    pub(crate) object_bytes: usize,
    /// Paths of all requests.
    pub(crate) requests: Vec<String>,
}

impl FileServer {
    pub(crate) async fn start(files: BTreeMap<String, Bytes>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            files,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // The client may go away at any time.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self { port, state, task }
    }

    /// Serves what is stored of a dataset.
    pub(crate) async fn of(dataset: &DatasetStorage) -> Self {
        let folder = object_store::path::Path::from(dataset.id().to_multibase());
        let listed: Vec<_> = dataset.store().list(Some(&folder)).try_collect().await.unwrap();
        let mut files = BTreeMap::new();
        for object in listed {
            let bytes = dataset
                .store()
                .get(&object.location)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            let name = object.location.as_ref().split_once('/').unwrap().1.to_owned();
            files.insert(name, bytes);
        }
        Self::start(files).await
    }

    pub(crate) fn url(&self) -> String {
        format!("odf+http://127.0.0.1:{}/account/name", self.port)
    }

    pub(crate) fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(request) = lines.next_line().await? {
        let mut range = None;
        while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
            let line = line.to_ascii_lowercase();
            if let Some(start) = line.strip_prefix("range: bytes=") {
                range = Some(start.trim_end_matches('-').parse::<usize>().unwrap());
            }
        }
        let path = request
            .split(' ')
            .nth(1)
            .unwrap()
            .trim_start_matches("/account/name/")
            .to_owned();
        let (head, body, is_cut) = answer(&mut state.lock().unwrap(), path, range);
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&body).await?;
        if is_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn answer(state: &mut State, path: String, range: Option<usize>) -> (String, Bytes, bool) {
    let is_object = path.starts_with("data/") || path.starts_with("checkpoints/");
    let file = state.files.get(&path).cloned();
    state.requests.push(path);
    let head = |status: &str, length: usize| format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
    if let Some(code) = state.failures.pop() {
        return (format!("{}\r\n", head(&format!("{code} Oops"), 0)), Bytes::new(), false);
    }
    let Some(file) = file else {
        return (format!("{}\r\n", head("404 Not Found", 0)), Bytes::new(), false);
    };
    let (whole, start) = (file.len(), range.filter(|_| !state.no_ranges).unwrap_or(0));
    let mut body = file.slice(start..);
    let head = match start {
        0 => format!("{}\r\n", head("200 OK", body.len())),
        _ => format!(
            "{}Content-Range: bytes {start}-{}/{whole}\r\n\r\n",
            head("206 Partial Content", body.len()),
            whole - 1
        ),
    };
    let cut = if is_object { state.cuts.pop() } else { None };
    if let Some(cut) = cut {
        body.truncate(cut);
    }
    if is_object {
        state.object_bytes += body.len();
    }
    (head, body, cut.is_some())
}
