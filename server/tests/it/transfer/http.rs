//! The protocol as any HTTP client sees it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Copied, Node, datasets, original};
use crate::harness::{jetway, succeed};

/// Status, head and body of an answer; with the node's token unless `headers` have other credentials.
pub(super) fn request(
    node: &Node,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let token = format!("Bearer {}", node.token);
    let mut headers = headers.to_vec();
    if headers.iter().all(|(name, _)| *name != "Authorization") {
        headers.push(("Authorization", &token));
    }
    let mut stream = TcpStream::connect(node.process.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n");
    for (name, value) in headers {
        if !value.is_empty() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if method == "PUT" && !head.contains("Transfer-Encoding") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        answer[end + 4..].to_vec(),
    )
}

fn message(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["message"].as_str().unwrap().to_owned()
}

/// A node with one of the datasets; its name and id.
fn filled(node: &Node) -> (String, String) {
    let here = Copied::new();
    let (id, name) = datasets(&here)
        .into_iter()
        .find(|(id, _)| original(id).keys().any(|name| name.starts_with("data/")))
        .unwrap();
    succeed(node.with_token(&mut here.jetway(&["push", &name, "--to", &node.url(&name)])));
    (name, id)
}

#[test]
fn stored_bytes_are_served_with_ranges_and_tags() {
    let node = Node::start();
    let (name, id) = filled(&node);
    for (file, bytes) in original(&id) {
        let path = format!("/admin/{name}/{file}");
        let get = |headers: &[(&str, &str)]| request(&node, "GET", &path, headers, b"");
        let (status, head, body) = get(&[]);
        assert!((status, &body) == (200, &bytes), "{path}: {head}");
        let (status, head, body) = request(&node, "HEAD", &path, &[], b"");
        assert_eq!((status, body.len()), (200, 0));
        assert!(head.contains(&format!("content-length: {}", bytes.len())), "{head}");
        let hash = file.split_once('/').unwrap().1;
        if hash == "head" {
            assert!(
                head.contains(&format!("odf-dataset-id: {id}")) && head.contains("no-cache"),
                "{head}"
            );
            continue;
        }
        assert!(
            head.contains("immutable") && head.contains(&format!("etag: \"{hash}\"")),
            "{head}"
        );
        let (status, head, body) = get(&[("Range", "bytes=5-9")]);
        assert!((status, &body[..]) == (206, &bytes[5..10]), "{head}");
        assert!(
            head.contains(&format!("content-range: bytes 5-9/{}", bytes.len())),
            "{head}"
        );
        let (status, _, body) = get(&[("Range", "bytes=50-")]);
        assert!((status, &body[..]) == (206, &bytes[50..]));
        let (status, _, body) = get(&[("Range", "bytes=-7")]);
        assert!((status, &body[..]) == (206, &bytes[bytes.len() - 7..]));
        assert_eq!(get(&[("Range", &format!("bytes={}-", bytes.len()))]).0, 416);
        assert_eq!(get(&[("Range", "bytes=1-2"), ("If-Range", "\"other\"")]).0, 200);
        let (status, _, body) = get(&[("If-None-Match", &format!("\"{hash}\""))]);
        assert_eq!((status, body.len()), (304, 0));
    }
    let missing = format!("f1620{}", "0".repeat(64));
    for path in [
        format!("/admin/{name}/data/{missing}"),
        format!("/admin/{name}/blocks/{missing}"),
        format!("/admin/{name}/blocks/..%2Frefs%2Fhead"),
        format!("/admin/{name}/refs/tail"),
        "/admin/nothing/refs/head".to_owned(),
        "/admin/no_name/refs/head".to_owned(),
    ] {
        let (status, _, body) = request(&node, "GET", &path, &[], b"");
        assert_eq!(status, 404, "{path}");
        assert!(!message(&body).is_empty());
    }
}

#[test]
fn who_may_do_what() {
    let node = Node::start();
    let (name, _) = filled(&node);
    let head = format!("/admin/{name}/refs/head");
    let (status, answer, _) = request(&node, "GET", &head, &[("Authorization", "")], b"");
    assert_eq!(status, 401);
    assert!(answer.contains("www-authenticate: bearer"), "{answer}");
    for wrong in ["Bearer nonsense", "Basic bm9ib2R5OndybmcK", "Digest x", "Bearer"] {
        assert_eq!(
            request(&node, "GET", &head, &[("Authorization", wrong)], b"").0,
            401,
            "{wrong}"
        );
    }
    // admin and its password.
    use base64::Engine;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("admin:{}", crate::harness::PASSWORD));
    assert_eq!(
        request(
            &node,
            "GET",
            &head,
            &[("Authorization", &format!("Basic {basic}"))],
            b""
        )
        .0,
        200
    );

    let mut command = jetway();
    command.args(["account", "create", "bob", "--generate", "--data-dir"]);
    succeed(command.arg(node.folder.path()));
    let bob = format!("Bearer {}", Node::token_of(node.folder.path(), "bob"));
    let bob = [("Authorization", bob.as_str())];
    assert_eq!(request(&node, "GET", &head, &bob, b"").0, 200);
    let hash = jetway_odf::identity::Multihash::sha3_256(b"bytes");
    for path in [
        format!("/admin/{name}/data/{hash}"),
        format!("/admin/{name}/blocks/{hash}"),
        head.clone(),
    ] {
        let (status, _, body) = request(&node, "PUT", &path, &bob, b"bytes");
        assert_eq!(status, 403, "{path}: {}", String::from_utf8_lossy(&body));
    }
    let other = format!(
        "/admin/other/data/{hash}?dataset={}",
        jetway_odf::identity::DatasetId::seeded(b"other")
    );
    assert_eq!(request(&node, "PUT", &other, &bob, b"bytes").0, 403);
}

#[test]
fn anonymous_readers_are_let_in_where_the_operator_says_so() {
    let node = Node::start_with(jetway().env("JETWAY_HTTP__ANONYMOUS_READ", "true"));
    let (name, _) = filled(&node);
    let nobody = [("Authorization", "")];
    assert_eq!(
        request(&node, "GET", &format!("/admin/{name}/refs/head"), &nobody, b"").0,
        200
    );
    let hash = jetway_odf::identity::Multihash::sha3_256(b"bytes");
    assert_eq!(
        request(&node, "PUT", &format!("/admin/{name}/data/{hash}"), &nobody, b"bytes").0,
        401
    );
}

#[test]
fn what_is_pushed_must_be_what_it_says() {
    let node = Node::start();
    let (name, id) = filled(&node);
    let put = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let (status, _, body) = request(&node, "PUT", &format!("/admin/{name}/{path}"), headers, body);
        (status, String::from_utf8(body).unwrap())
    };
    let hash = jetway_odf::identity::Multihash::sha3_256(b"bytes").to_string();
    for folder in ["data", "checkpoints"] {
        let path = format!("{folder}/{hash}");
        assert_eq!(put(&path, &[], b"other").0, 422);
        assert_eq!(
            put(&path, &[("Transfer-Encoding", "chunked")], b"5\r\nbytes\r\n0\r\n\r\n").0,
            411
        );
        let get = || request(&node, "GET", &format!("/admin/{name}/{path}"), &[], b"").0;
        assert_eq!(get(), 404);
        assert_eq!(put(&path, &[], b"bytes").0, 204);
        assert_eq!(put(&path, &[], b"bytes").0, 204);
        assert_eq!(get(), 200);
    }
    // A block must be one, under its own hash.
    assert!([400, 422].contains(&put(&format!("blocks/{hash}"), &[], b"bytes").0));
    let files = original(&id);
    let head = String::from_utf8(files["refs/head"].clone()).unwrap();
    let block = &files[&format!("blocks/{head}")];
    assert_eq!(put(&format!("blocks/{hash}"), &[], block).0, 422);

    let current = format!("\"{head}\"");
    assert_eq!(put("refs/head", &[], hash.as_bytes()).0, 428);
    assert_eq!(put("refs/head", &[("If-None-Match", "*")], hash.as_bytes()).0, 412);
    assert_eq!(put("refs/head", &[("If-Match", &current)], b"nonsense").0, 400);
    let (status, body) = put("refs/head", &[("If-Match", &current)], hash.as_bytes());
    assert_eq!(status, 422, "{body}");
    // Back to an earlier block.
    let block = jetway_odf::codec::decode_block(block).unwrap();
    let prev = block.prev_block_hash.unwrap().to_string();
    assert_eq!(put("refs/head", &[("If-Match", &current)], prev.as_bytes()).0, 409);
    assert_eq!(
        put("refs/head?force=true", &[("If-Match", &current)], prev.as_bytes()).0,
        204
    );
    // And forward again, but not with a name that is another dataset's.
    let other = jetway_odf::identity::DatasetId::seeded(b"other");
    let path = format!("refs/head?dataset={other}");
    assert_eq!(put(&path, &[("If-None-Match", "*")], head.as_bytes()).0, 409);
    assert_eq!(
        put("refs/head", &[("If-Match", &format!("\"{prev}\""))], head.as_bytes()).0,
        204
    );
}
