//! A node as a process, and the command line against it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The binary, without whatever the tester's environment configures.
pub(crate) fn jetway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jetway"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JETWAY_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end and gives what it wrote to standard output and standard error.
pub(crate) fn finish(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (
        status.success(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// Runs a command that must succeed, and gives its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let (success, stdout, stderr) = finish(command);
    assert!(success, "{command:?} failed: {stderr}");
    stdout
}

/// Runs a command that must fail, and gives its standard error.
pub(crate) fn fail(command: &mut Command) -> String {
    let (success, stdout, stderr) = finish(command);
    assert!(!success, "{command:?} did not fail: {stdout}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr
}

/// A running `jetway serve`. It is killed when it is dropped.
pub(crate) struct NodeProcess {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    pub(crate) http: SocketAddr,
    pub(crate) flight: String,
}

/// What a node said and how it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The password that [`NodeProcess::start`] gives to a new admin.
pub(crate) const PASSWORD: &str = "a long test password";

impl NodeProcess {
    /// A node with the password [`PASSWORD`].
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(jetway().env("JETWAY_ADMIN_PASSWORD", PASSWORD), data_dir)
    }

    /// A node on free ports, ready for requests.
    pub(crate) fn start_with(command: &mut Command, data_dir: &Path) -> Self {
        let mut child = command
            .args([
                "serve",
                "--http-address",
                "127.0.0.1:0",
                "--flight-address",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let addresses = ready
            .trim_end()
            .strip_prefix("jetway ready http=http://")
            .and_then(|rest| rest.split_once(" flight="));
        let Some((http, flight)) = addresses else {
            let _ = child.kill();
            panic!("no ready line but {ready:?}: {}", stderr.join().unwrap());
        };
        let (http, flight) = (http.parse().unwrap(), flight.to_owned());
        let stdout = std::thread::spawn(move || {
            let mut text = ready;
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            child,
            stdout: Some(stdout),
            stderr: Some(stderr),
            http,
            flight,
        }
    }

    /// A command of the command line against this node, as the admin.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = jetway();
        command
            .args(arguments)
            .env("JETWAY_URL", &self.flight)
            .env("JETWAY_USER", "admin")
            .env("JETWAY_PASSWORD", PASSWORD);
        command
    }

    /// The answer to a statement, as CSV.
    pub(crate) fn sql(&self, statement: &str) -> String {
        succeed(&mut self.client(&["sql", statement, "--output", "csv"]))
    }

    /// Status and body of a page.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        Ok((status, answer.split_once("\r\n\r\n").unwrap().1.to_owned()))
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill")
                .args([signal, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(mut self) -> Ended {
        let patience = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < patience, "the node does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let read = |stream: Option<JoinHandle<String>>| stream.unwrap().join().unwrap();
        Ended {
            status,
            stdout: read(self.stdout.take()),
            stderr: read(self.stderr.take()),
        }
    }

    /// Ends the node as an operator does.
    pub(crate) fn stop(self) -> Ended {
        self.signal("-TERM");
        self.wait()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
