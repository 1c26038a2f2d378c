//! A real object store: SeaweedFS in a folder of its own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const ACCESS_KEY_ID: &str = "test-key";
pub(crate) const SECRET_ACCESS_KEY: &str = "test-secret";

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Ends with the value.
pub(crate) struct Weed {
    process: Child,
    folder: TempDir,
    s3_port: u16,
}

impl Weed {
    /// Starts the program that `JETWAY_TEST_WEED` names, and waits until it answers.
    pub(crate) fn start() -> Self {
        let program = PathBuf::from(std::env::var_os("JETWAY_TEST_WEED").expect(
            "the S3 tests need SeaweedFS: run `cargo xtask test`, or set JETWAY_TEST_WEED to the path of its `weed` program",
        ));
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({"identities": [{
            "name": "test",
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(folder.path().join("s3.json"), config.to_string()).unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let [s3_port, master_port, volume_port, filer_port] = free_ports();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(program)
            .args([
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-dir=store",
                "-s3",
                "-filer",
                "-s3.config=s3.json",
            ])
            .args(["-volume.max=8", "-master.volumeSizeLimitMB=64"])
            // They have fixed ports, on which a second server would fail.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-s3.port={s3_port}"))
            .arg(format!("-master.port={master_port}"))
            .arg(format!("-volume.port={volume_port}"))
            .arg(format!("-filer.port={filer_port}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let weed = Self {
            process,
            folder,
            s3_port,
        };
        weed.wait_until("S3", || request(s3_port, "GET /healthz"));
        weed.wait_until("the bucket", || {
            request(filer_port, &format!("POST /buckets/{BUCKET}/"))
        });
        weed
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.s3_port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn wait_until(&self, what: &str, is_ready: impl Fn() -> io::Result<bool>) {
        let deadline = Instant::now() + READY_TIMEOUT;
        while !is_ready().unwrap_or(false) {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
                panic!("SeaweedFS is not ready: {what} does not answer\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports that are free, also 10 000 above, where SeaweedFS puts the gRPC port of each.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let port = rand::random_range(12_000..22_000);
            let pair = [port, port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)));
            if let [Ok(first), Ok(second)] = pair {
                held.extend([first, second]);
                return port;
            }
        }
    })
}

/// Whether the answer to a request without a body is a success.
fn request(port: u16, request: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "{request} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).is_some_and(|status| status.starts_with('2')))
}
