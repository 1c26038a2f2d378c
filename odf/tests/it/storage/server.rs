//! Servers of other people that tests talk to: one process of each for a run of the test program.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a server until the standard input ends, which it does when the test program does, however that ends. Then the
/// server is killed and its folder removed.
const GUARD: &str =
    r#"folder=$1; shift; "$@" & server=$!; read -r _; kill -KILL "$server"; wait "$server"; rm -rf "$folder""#;

/// A server in a folder of its own.
pub(crate) struct Server {
    name: &'static str,
    folder: PathBuf,
    guard: Child,
}

impl Server {
    /// Starts the program that the environment variable `program` names, in a new folder. `prepare` makes its arguments.
    pub(crate) fn start(name: &'static str, program: &str, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let path = std::env::var_os(program).unwrap_or_else(|| {
            panic!("this test needs {name}: run `cargo xtask test`, or set {program} to the path of its program")
        });
        let folder = tempfile::tempdir().unwrap().keep();
        let arguments = prepare(&folder);
        let log = File::create(folder.join("log")).unwrap();
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&folder)
            .arg(path)
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { name, folder, guard }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn wait_until(&self, what: &str, is_ready: impl Fn() -> io::Result<bool>) {
        let deadline = Instant::now() + READY_TIMEOUT;
        while !is_ready().unwrap_or(false) {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!(
                    "{} (guarded by process {}) is not ready: {what} does not answer\n{log}",
                    self.name,
                    self.guard.id()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Ports that are free, also 10 000 above, where SeaweedFS puts the gRPC port of each.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
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

/// The status of the answer to a request.
pub(crate) fn request(port: u16, request: &str, headers: &[(&str, &str)], body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "{request} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("no HTTP status"))
}
