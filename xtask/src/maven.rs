//! Jars from a Maven repository, as a lock file says, fetched once.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::python::Python;
use crate::workspace::{Workspace, cache_dir};

/// Maven's own default; `JETWAY_MAVEN_URL` names another repository, such as a mirror.
const CENTRAL: &str = "https://repo1.maven.org/maven2";
/// What the JDBC driver and the programs in the tests ask for.
const OLDEST: u32 = 17;

/// A jar that a lock file names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Artifact {
    group: String,
    name: String,
    version: String,
    sha256: String,
}

/// The path of the only jar that a lock file of the checkout names, fetched if it is not there yet.
///
/// # Errors
/// When there is no Java that is new enough, or the jar cannot be had as the lock file describes it.
pub(crate) fn jar(workspace: &Workspace, python: &Python, lock: &str) -> Result<PathBuf> {
    check_java()?;
    let path = workspace.root().join(lock);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let artifacts = parse(&text).with_context(|| format!("{lock} is not a lock file"))?;
    let [artifact] = artifacts.as_slice() else {
        bail!("{lock} names {} jars instead of one", artifacts.len());
    };
    let folder = cache_dir()?.join("maven");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // The hash is in the name: a jar that another lock file wants never takes this one's place.
    let short: String = artifact.sha256.chars().take(12).collect();
    let jar = folder.join(format!("{}-{}-{short}.jar", artifact.name, artifact.version));
    if jar.exists() {
        return Ok(jar);
    }
    let base = env::var("JETWAY_MAVEN_URL").unwrap_or_else(|_unset| CENTRAL.to_owned());
    process::output(
        Command::new(python.program("python"))
            .args([
                "-c",
                include_str!("maven/fetch.py"),
                &artifact.url(&base),
                &artifact.sha256,
            ])
            .arg(&jar),
    )
    .with_context(|| {
        format!("cannot fetch what {lock} names; is the Maven repository reachable? (JETWAY_MAVEN_URL names another)")
    })?;
    Ok(jar)
}

impl Artifact {
    fn url(&self, base: &str) -> String {
        let Self {
            group, name, version, ..
        } = self;
        let base = base.trim_end_matches('/');
        format!(
            "{base}/{}/{name}/{version}/{name}-{version}.jar",
            group.replace('.', "/")
        )
    }
}

/// Lines of `group:artifact:version sha256`; empty ones and those that begin with `#` say nothing.
fn parse(lock: &str) -> Result<Vec<Artifact>> {
    lock.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| artifact(line).with_context(|| format!("`{line}` is not `group:artifact:version sha256`")))
        .collect()
}

fn artifact(line: &str) -> Option<Artifact> {
    let (coordinates, sha256) = line.split_once(' ')?;
    let [group, name, version]: [&str; 3] = coordinates.split(':').collect::<Vec<_>>().try_into().ok()?;
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| Artifact {
        group: group.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: sha256.to_owned(),
    })
}

/// Says what is missing before anything is fetched.
fn check_java() -> Result<()> {
    let wanted = format!("Java {OLDEST} or newer (a JDK) is needed for the tests of the JDBC driver");
    let Ok(version) = process::output(Command::new("javac").arg("--version")) else {
        bail!("{wanted}: install it (on Debian and Ubuntu: apt install openjdk-17-jdk-headless) and put it on PATH");
    };
    if major(&version).is_none_or(|major| major < OLDEST) {
        bail!("{wanted}, but `javac --version` says {version}: put a newer one on PATH");
    }
    Ok(())
}

/// Of a version such as `javac 17.0.15`.
fn major(version: &str) -> Option<u32> {
    let number = version.strip_prefix("javac ")?.split(['.', '-', '+']).next()?;
    number.parse().ok()
}

#[cfg(test)]
mod tests;
