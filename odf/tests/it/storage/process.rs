//! Other processes that use a repository. The test program starts itself as one that runs one function.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::site::Site;

/// Writes a line that is on its way even if the process is killed right after. The test harness captures `println!`.
pub(crate) fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{line}").unwrap();
    output.flush().unwrap();
}

/// This program as another process that runs one function. Killed with the value.
pub(crate) struct Process {
    process: Child,
    lines: std::sync::mpsc::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// `function` is the path of a test, which finds the site with [`Site::of_environment`].
    pub(crate) fn start(function: &str, site: &Site) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([function, "--exact", "--nocapture", "--test-threads=1"])
            .envs(site.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            lines,
            reader: Some(reader),
        }
    }

    pub(crate) fn wait_for(&self, line: &str) {
        while self.lines.recv_timeout(Duration::from_secs(60)).unwrap() != line {}
    }

    /// Kills the process without warning, and returns what else it had written.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.rest()
    }

    /// Waits until the process has succeeded, and returns what else it had written.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let status = self.process.wait().unwrap();
        let lines = self.rest();
        assert!(status.success(), "{status}: {lines:#?}");
        lines
    }

    fn rest(&mut self) -> Vec<String> {
        self.reader.take().unwrap().join().unwrap();
        self.lines.try_iter().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
