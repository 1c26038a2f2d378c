//! Other Flight SQL servers, as their users install and start them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::environment::Environment;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Name and version.
    pub(crate) name: &'static str,
    /// Flight address, as a `grpc://` URL.
    pub(crate) uri: String,
    /// How the table is called in its SQL.
    pub(crate) table: String,
}

impl Server {
    /// ROAPI with a Parquet file as the table `points`, in memory, which is what it does unless told otherwise.
    pub(crate) fn roapi(environment: &Environment, file: &Path) -> Result<Self> {
        Self::roapi_with(environment, [format!("points={}", file.display())])
    }

    /// ROAPI with a table for each of some subfolders, over the Parquet files in it.
    pub(crate) fn roapi_over_files(environment: &Environment, folder: &Path, tables: &[&str]) -> Result<Self> {
        let table = |table: &&str| {
            let files: PathBuf = folder.join(table);
            format!("{table}={},format=parquet,use_memory_table=false", files.display())
        };
        Self::roapi_with(environment, tables.iter().map(table))
    }

    fn roapi_with(environment: &Environment, tables: impl IntoIterator<Item = String>) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(environment.program("roapi"));
        command
            .arg("--addr-http")
            .arg(format!("127.0.0.1:{}", free_port()?))
            .arg("--addr-postgres")
            .arg(format!("127.0.0.1:{}", free_port()?))
            .arg("--addr-flight-sql")
            .arg(format!("127.0.0.1:{port}"));
        for table in tables {
            command.arg("--table").arg(table);
        }
        Self::start("ROAPI 0.12.7", command, port, "points".to_owned())
    }

    /// Sail over the same file.
    pub(crate) fn sail(environment: &Environment, file: &Path) -> Result<Self> {
        let mut server = Self::sail_alone(environment)?;
        server.table = format!("parquet.`{}`", file.display());
        Ok(server)
    }

    /// Sail without a table.
    pub(crate) fn sail_alone(environment: &Environment) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(environment.program("sail"));
        command.args(["flight", "server", "--port", &port.to_string()]);
        Self::start("Sail 0.7.2", command, port, String::new())
    }

    fn start(name: &'static str, mut command: Command, port: u16, table: String) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut server = Self {
            child,
            name,
            uri: format!("grpc://127.0.0.1:{port}"),
            table,
        };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended with {status} before it listened");
            }
            if started.elapsed() > PATIENCE {
                bail!("{name} does not listen");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
