//! `cargo xtask lint`: what a reviewer should not have to say.

use anyhow::{Result, bail};

use crate::process;
use crate::tidy;
use crate::workspace::Workspace;

/// Checks formatting, lints, documentation and the rules of the house.
///
/// # Errors
/// When one of them finds something; it has printed what.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    println!("Rules of the house");
    let findings = tidy::check(workspace.root())?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} rules of the house are broken: see above", findings.len());
    }
    println!("Formatting");
    process::run(workspace.cargo("fmt")?.args(["--all", "--", "--check"]))?;
    println!("Lints");
    process::run(workspace.cargo("clippy")?.args([
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]))?;
    println!("Documentation");
    process::run(
        workspace
            .cargo("doc")?
            .args(["--workspace", "--no-deps", "--document-private-items", "--locked"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    println!("Licences and bans of dependencies");
    if process::output(workspace.cargo("deny")?.arg("--version")).is_err() {
        println!("   not checked: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    process::run(workspace.cargo("deny")?.args(["check", "licenses", "bans", "sources"]))
}
