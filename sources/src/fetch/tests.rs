use std::time::Duration;

use jetway_odf::metadata::{EventTimeSource, FetchStep, RequestHeader, SourceCaching, SourceOrdering, SourceState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{FetchOptions, Fetched, FetchedFile, fetch};
use crate::input::Content;
use crate::{Error, ErrorKind};

fn options() -> FetchOptions {
    FetchOptions {
        retries: 2,
        first_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(5),
        idle_timeout: Duration::from_millis(300),
        ..FetchOptions::local()
    }
}

fn url(url: &str) -> FetchStep {
    FetchStep::Url {
        url: url.to_owned(),
        event_time: None,
        cache: None,
        headers: None,
    }
}

/// Answers one connection after the other with fixed texts, then ends; yields the requests. An empty text hangs.
async fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let (mut requests, mut hanging) = (Vec::new(), Vec::new());
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(connection.read_u8().await.unwrap());
            }
            requests.push(String::from_utf8(request).unwrap());
            if answer.is_empty() {
                hanging.push(connection);
            } else {
                let _ = connection.write_all(answer.as_bytes()).await;
                let _ = connection.shutdown().await;
            }
        }
        requests
    });
    (base, requests)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn changed(fetched: Fetched) -> (FetchedFile, String) {
    let Fetched::Changed(file) = fetched else {
        panic!("unchanged")
    };
    let text = match &file.input.content {
        Content::File(path) => std::fs::read_to_string(path),
        Content::Temporary(path) => std::fs::read_to_string(path),
        Content::Stream(_) => panic!("a stream"),
    };
    (file, text.unwrap())
}

async fn failure(step: &FetchStep, options: &FetchOptions) -> Error {
    fetch(step, None, options).await.unwrap_err()
}

#[tokio::test]
async fn an_etag_is_kept_and_asked_for() {
    let (base, requests) = serve(vec![
        answer("200 OK", "ETag: W/\"one\"\r\n", "a"),
        answer("304 Not Modified", "", ""),
        answer("200 OK", "ETag: \"two\"\r\n", "b"),
    ])
    .await;
    let step = url(&base);
    let (file, text) = changed(fetch(&step, None, &options()).await.unwrap());
    assert_eq!((text.as_str(), file.has_more), ("a", false));
    let state = file.state.unwrap();
    assert_eq!((state.kind.as_str(), state.value.as_str()), ("odf/etag", "W/\"one\""));
    assert!(matches!(
        fetch(&step, Some(&state), &options()).await.unwrap(),
        Fetched::Unchanged
    ));
    let (file, text) = changed(fetch(&step, Some(&state), &options()).await.unwrap());
    assert_eq!((text.as_str(), file.state.unwrap().value.as_str()), ("b", "\"two\""));
    let requests = requests.await.unwrap();
    assert!(!requests[0].contains("if-none-match"));
    assert!(requests[1].contains("if-none-match: W/\"one\"\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn last_modified_is_state_and_event_time() {
    let date = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let (base, requests) = serve(vec![answer("200 OK", date, "a"), answer("200 OK", date, "a")]).await;
    let step = FetchStep::Url {
        url: base,
        event_time: Some(EventTimeSource::FromMetadata),
        cache: None,
        headers: None,
    };
    let (file, _) = changed(fetch(&step, None, &options()).await.unwrap());
    let state = file.state.unwrap();
    assert_eq!(
        (state.kind.as_str(), state.value.as_str()),
        ("odf/last-modified", "2015-10-21T07:28:00Z")
    );
    assert_eq!(file.event_time.unwrap().to_rfc3339(), "2015-10-21T07:28:00+00:00");
    assert!(matches!(
        fetch(&step, Some(&state), &options()).await.unwrap(),
        Fetched::Unchanged
    ));
    let requests = requests.await.unwrap();
    assert!(
        requests[1].contains("if-modified-since: Wed, 21 Oct 2015 07:28:00 GMT\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn failures_that_pass_are_retried() {
    let (base, requests) = serve(vec![
        answer("503 Unavailable", "", ""),
        answer("429 Too Many", "Retry-After: 3600\r\n", ""),
        answer("200 OK", "", "a"),
    ])
    .await;
    let (_, text) = changed(fetch(&url(&base), None, &options()).await.unwrap());
    assert_eq!(text, "a");
    assert_eq!(requests.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let (base, _requests) = serve(vec![String::new(); 3]).await;
    let options = FetchOptions {
        idle_timeout: Duration::from_millis(20),
        ..options()
    };
    let error = failure(&url(&base), &options).await;
    assert!(error.is_retryable());
    assert!(error.to_string().contains("attempts: 3"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_not_asked_for_again() {
    let (base, requests) = serve(vec![answer("404 Not Found", "", "")]).await;
    assert_eq!(failure(&url(&base), &options()).await.kind(), ErrorKind::NotFound);
    assert_eq!(requests.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_resumed() {
    let whole = answer("200 OK", "ETag: \"x\"\r\nAccept-Ranges: bytes\r\n", "hello world");
    let rest = answer("206 Partial Content", "Content-Range: bytes 5-10/11\r\n", " world");
    let (base, requests) = serve(vec![whole.strip_suffix(" world").unwrap().to_owned(), rest]).await;
    let (_, text) = changed(fetch(&url(&base), None, &options()).await.unwrap());
    assert_eq!(text, "hello world");
    let requests = requests.await.unwrap();
    assert!(
        requests[1].contains("range: bytes=5-\r\n") && requests[1].contains("if-range: \"x\"\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_resumed_starts_again() {
    let whole = answer("200 OK", "", "hello world");
    let half = whole.strip_suffix(" world").unwrap().to_owned();
    let (base, _requests) = serve(vec![half.clone(), whole]).await;
    assert_eq!(
        changed(fetch(&url(&base), None, &options()).await.unwrap()).1,
        "hello world"
    );

    let (base, _requests) = serve(vec![half; 3]).await;
    assert_eq!(failure(&url(&base), &options()).await.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn redirects_are_followed_without_the_headers_of_the_source() {
    let (other, other_requests) = serve(vec![answer("200 OK", "", "there")]).await;
    let (base, requests) = serve(vec![answer("302 Found", &format!("Location: {other}/x\r\n"), "")]).await;
    let mut options = options();
    options.variables.insert("KEY".to_owned(), "s3cret".to_owned());
    let step = FetchStep::Url {
        url: base,
        event_time: None,
        cache: None,
        headers: Some(vec![RequestHeader {
            name: "X-Key".to_owned(),
            value: "${{ env.KEY }}".to_owned(),
        }]),
    };
    assert_eq!(changed(fetch(&step, None, &options).await.unwrap()).1, "there");
    assert!(requests.await.unwrap()[0].contains("x-key: s3cret"));
    assert!(!other_requests.await.unwrap()[0].contains("s3cret"));

    let (base, _requests) = serve(vec![answer("302 Found", "Location: /again\r\n", ""); 3]).await;
    let options = FetchOptions {
        max_redirects: 2,
        ..options
    };
    assert!(
        failure(&url(&base), &options)
            .await
            .to_string()
            .contains("redirects too often")
    );
}

#[tokio::test]
async fn files_have_a_largest_size() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned();
    let (base, _requests) = serve(vec![answer("200 OK", "", "hello"), chunked]).await;
    let options = FetchOptions {
        max_bytes: 4,
        ..options()
    };
    for _ in 0..2 {
        assert_eq!(
            failure(&url(&base), &options).await.kind(),
            ErrorKind::ResourceExhausted
        );
    }
}

#[tokio::test]
async fn secrets_are_in_no_message() {
    let (base, requests) = serve(vec![answer("404 Not Found", "", "")]).await;
    let mut options = options();
    options.variables.insert("KEY".to_owned(), "s3cret".to_owned());
    let base = base.replace("http://", "http://user:s3cret@");
    let error = failure(
        &url(&format!("{base}/${{{{ env.KEY }}}}/a?key=${{{{ env.KEY }}}}")),
        &options,
    )
    .await;
    assert!(requests.await.unwrap()[0].starts_with("GET /s3cret/a?key=s3cret "));
    let text = format!("{error} {error:?} {options:?}");
    assert!(text.contains("/***/a?key=***") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn private_addresses_are_refused_also_by_name() {
    let options = FetchOptions {
        allow_private_addresses: false,
        ..options()
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.1",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
    ] {
        let error = failure(&url(&format!("http://{host}:9/")), &options).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{host}: {error}");
    }
}

#[tokio::test]
async fn forever_is_once() {
    let (base, _requests) = serve(vec![answer("200 OK", "", "a")]).await;
    let step = FetchStep::Url {
        url: base,
        event_time: None,
        cache: Some(SourceCaching::Forever),
        headers: None,
    };
    let (file, _) = changed(fetch(&step, None, &options()).await.unwrap());
    assert!(matches!(
        fetch(&step, file.state.as_ref(), &options()).await.unwrap(),
        Fetched::Unchanged
    ));
}

fn glob(order: SourceOrdering) -> FetchStep {
    FetchStep::FilesGlob {
        path: "in/poll-*.csv".to_owned(),
        event_time: Some(EventTimeSource::FromPath {
            pattern: r"-(\d+-\d+-\d+)\.csv".to_owned(),
            timestamp_format: Some("%Y-%m-%d".to_owned()),
        }),
        cache: None,
        order: Some(order),
    }
}

#[tokio::test]
async fn files_of_a_pattern_go_on_though_they_are_cached() {
    let folder = tempfile::tempdir().unwrap();
    let mut step = glob(SourceOrdering::ByName);
    let FetchStep::FilesGlob { path, cache, .. } = &mut step else {
        unreachable!()
    };
    *path = format!("{}/poll-*.csv", folder.path().display());
    *cache = Some(SourceCaching::Forever);
    std::fs::write(folder.path().join("poll-2020-01-01.csv"), "a").unwrap();
    let (first, _) = changed(fetch(&step, None, &options()).await.unwrap());
    let again = fetch(&step, first.state.as_ref(), &options()).await.unwrap();
    assert!(matches!(again, Fetched::Unchanged));
    std::fs::write(folder.path().join("poll-2020-01-02.csv"), "b").unwrap();
    let (next, text) = changed(fetch(&step, first.state.as_ref(), &options()).await.unwrap());
    assert_eq!(text, "b");
    assert_ne!(next.state, first.state);
}

async fn all(step: &FetchStep, options: &FetchOptions) -> Vec<(String, String, bool)> {
    let mut state: Option<SourceState> = None;
    let mut taken = Vec::new();
    while let Fetched::Changed(file) = fetch(step, state.as_ref(), options).await.unwrap() {
        let next = file.state.unwrap();
        assert_eq!((next.source_name.as_str(), next.kind.as_str()), ("default", "odf/etag"));
        taken.push((
            next.value.clone(),
            file.event_time.unwrap().date_naive().to_string(),
            file.has_more,
        ));
        state = Some(next);
    }
    taken
}

#[tokio::test]
async fn files_are_taken_one_by_one_in_order() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for name in ["poll-b-2024-02-01.csv", "poll-a-2024-02-02.csv", "other-2024-02-03.csv"] {
        std::fs::write(folder.path().join("in").join(name), "x").unwrap();
    }
    let mut options = FetchOptions {
        base_dir: Some(folder.path().to_owned()),
        ..options()
    };
    let a = |more| ("poll-a-2024-02-02.csv".to_owned(), "2024-02-02".to_owned(), more);
    let b = |more| ("poll-b-2024-02-01.csv".to_owned(), "2024-02-01".to_owned(), more);
    assert_eq!(all(&glob(SourceOrdering::ByName), &options).await, [a(true), b(false)]);
    assert_eq!(
        all(&glob(SourceOrdering::ByEventTime), &options).await,
        [b(true), a(false)]
    );

    options.file_roots = Some(vec![folder.path().to_owned()]);
    assert_eq!(all(&glob(SourceOrdering::ByName), &options).await.len(), 2);
    options.file_roots = Some(vec![folder.path().join("elsewhere")]);
    assert_eq!(
        failure(&glob(SourceOrdering::ByName), &options).await.kind(),
        ErrorKind::Unsupported
    );
}

#[tokio::test]
async fn a_file_url_goes_by_its_modification_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "x").unwrap();
    let step = url(&format!("file://{}", path.display()));
    let (file, _) = changed(fetch(&step, None, &options()).await.unwrap());
    let state = file.state.unwrap();
    assert_eq!(state.kind, "odf/last-modified");
    assert!(matches!(
        fetch(&step, Some(&state), &options()).await.unwrap(),
        Fetched::Unchanged
    ));
    std::fs::File::open(&path)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(matches!(
        fetch(&step, Some(&state), &options()).await.unwrap(),
        Fetched::Changed(_)
    ));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(failure(&step, &options()).await.kind(), ErrorKind::NotFound);
}
