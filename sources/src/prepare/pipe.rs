//! Bytes through a command of this machine.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::open;
use crate::fetch::FetchOptions;
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

/// Bytes of the end of standard error that a message holds.
const TAIL: usize = 2_000;
/// How often a command that closed its output is asked whether it ended.
const POLL: Duration = Duration::from_millis(5);

/// A command that is killed when nobody waits for it any more.
struct Running {
    child: Child,
    feeding: JoinHandle<()>,
    output: mpsc::Receiver<std::io::Result<Bytes>>,
    /// Whether the output came to its end. If its thread was cut off, nobody says so.
    forwarded: oneshot::Receiver<()>,
    tail: oneshot::Receiver<String>,
    /// An error of the bytes that go in.
    fed: oneshot::Receiver<Error>,
    deadline: Instant,
    name: String,
}

/// Starts a command without a shell, and with nothing of this process's environment but `PATH`.
pub(super) async fn run(command: &[String], input: Input, options: &FetchOptions) -> Result<Input> {
    if !options.allow_pipe {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the operator does not allow `Pipe`; use `Decompress`, or prepare the data with SQL in `preprocess`",
        ));
    }
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::new(ErrorKind::InvalidSource, "`Pipe` needs a command"));
    };
    let mut source = open(input.content).await?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::new(ErrorKind::InvalidSource, "the command of `Pipe` cannot be started")
                .with_context("command", program)
                .with_source(error)
        })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    // Threads of their own: a command may block its pipes for as long as it runs.
    let (feeder, mut feed) = mpsc::channel::<Bytes>(4);
    thread::spawn(move || {
        let mut stdin = stdin;
        while let (Some(pipe), Some(bytes)) = (&mut stdin, feed.blocking_recv()) {
            // A command may end before it has read everything.
            if pipe.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let (feed_failed, fed) = oneshot::channel();
    let (sender, output) = mpsc::channel(4);
    let (finished, forwarded) = oneshot::channel();
    thread::spawn(move || {
        if let Some(stdout) = stdout {
            forward(stdout, |bytes| sender.blocking_send(bytes).is_ok());
        }
        let _ = finished.send(());
    });
    let (tell, tail) = oneshot::channel();
    thread::spawn(move || {
        let mut end = Vec::new();
        if let Some(stderr) = stderr {
            forward(stderr, |bytes| {
                end.extend_from_slice(&bytes.unwrap_or_default());
                end.drain(..end.len().saturating_sub(TAIL));
                true
            });
        }
        let _ = tell.send(String::from_utf8_lossy(&end).trim().to_owned());
    });
    let feeding = tokio::spawn(async move {
        while let Some(bytes) = source.next().await {
            match bytes {
                Ok(bytes) => {
                    if feeder.send(bytes).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    // Before the command sees the end of its input, and takes it for a whole one.
                    let _ = feed_failed.send(error);
                    return;
                }
            }
        }
    });
    let running = Running {
        child,
        feeding,
        output,
        forwarded,
        tail,
        fed,
        deadline: Instant::now() + options.whole_timeout,
        name: program.clone(),
    };
    Ok(Input {
        name: input.name,
        content: Content::Stream(stream::unfold(Some(running), next).boxed()),
    })
}

/// Passes on what a pipe holds, until its end or until nobody takes it.
fn forward(mut pipe: impl Read, mut take: impl FnMut(std::io::Result<Bytes>) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = pipe
            .read(&mut buffer)
            .map(|length| Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()));
        let last = read.as_ref().map_or(true, Bytes::is_empty);
        if read.as_ref().is_ok_and(Bytes::is_empty) || !take(read) || last {
            return;
        }
    }
}

async fn next(running: Option<Running>) -> Option<(Result<Bytes>, Option<Running>)> {
    let mut running = running?;
    let deadline = running.deadline;
    let bytes = match tokio::time::timeout_at(deadline, running.step()).await {
        Ok(done) => done.transpose()?,
        Err(_) => Err(Error::new(
            ErrorKind::ResourceExhausted,
            "the command of `Pipe` took longer than the operator allows",
        )
        .with_context("command", &running.name)),
    };
    let running = bytes.is_ok().then_some(running);
    Some((bytes, running))
}

impl Running {
    /// More output, or the end if the command ended well.
    async fn step(&mut self) -> Result<Option<Bytes>> {
        match self.output.recv().await {
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            Some(Err(error)) => {
                return Err(Error::new(ErrorKind::Io, "the output of the command cannot be read").with_source(error));
            }
            None => {}
        }
        (&mut self.forwarded).await.map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                "reading the output of the command was cut off; pull again",
            )
            .with_source(error)
        })?;
        let status = self.ended().await?;
        if let Ok(error) = self.fed.try_recv() {
            return Err(error);
        }
        if status.success() {
            return Ok(None);
        }
        let tail = (&mut self.tail).await.unwrap_or_default();
        Err(Error::new(ErrorKind::BadData, "the command of `Pipe` failed")
            .with_context("command", &self.name)
            .with_context("status", status)
            .with_context("standard error", tail))
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        loop {
            let status = self.child.try_wait().map_err(|error| {
                Error::new(ErrorKind::Io, "the command of `Pipe` cannot be waited for").with_source(error)
            })?;
            match status {
                Some(status) => return Ok(status),
                None => tokio::time::sleep(POLL).await,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.feeding.abort();
        // It may have ended already; waiting takes its entry from the table of processes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
