//! The rules of the house that no compiler knows, as a program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A source file longer than this has more than one subject.
const LONGEST: usize = 800;
/// What is built, fetched or kept for a running node; not part of the sources.
const NOT_SOURCES: [&str; 6] = [
    "target",
    "jetway-data",
    "superset-data",
    "node_modules",
    "__pycache__",
    "venv",
];
const SOURCES: [&str; 14] = [
    "rs", "py", "ts", "tsx", "toml", "md", "yaml", "yml", "sh", "sql", "slt", "graphql", "fbs", "json",
];

/// A text that must not be in the repository, in two halves, so that this file obeys its own rule.
struct Forbidden {
    text: (&'static str, &'static str),
    /// In which files; everywhere when empty.
    extensions: &'static [&'static str],
    reason: &'static str,
}

const FORBIDDEN: [Forbidden; 12] = [
    Forbidden {
        text: ("/ro", "ot/"),
        extensions: &[],
        reason: "a path of one machine",
    },
    Forbidden {
        text: ("/ho", "me/"),
        extensions: &[],
        reason: "a path of one machine",
    },
    Forbidden {
        text: ("/Use", "rs/"),
        extensions: &[],
        reason: "a path of one machine",
    },
    Forbidden {
        text: ("index.", "crates.io"),
        extensions: &[],
        reason: "a registry host: users have their own",
    },
    Forbidden {
        text: ("registry.", "npmjs"),
        extensions: &[],
        reason: "a registry host: users have their own",
    },
    Forbidden {
        text: ("files.python", "hosted"),
        extensions: &[],
        reason: "a registry host: users have their own",
    },
    Forbidden {
        text: ("deb.deb", "ian.org"),
        extensions: &[],
        reason: "a registry host: users have their own",
    },
    Forbidden {
        text: ("todo", "!("),
        extensions: &["rs"],
        reason: "unfinished work",
    },
    Forbidden {
        text: ("unimpl", "emented!("),
        extensions: &["rs"],
        reason: "unfinished work",
    },
    Forbidden {
        text: ("FIX", "ME"),
        extensions: &[],
        reason: "unfinished work",
    },
    Forbidden {
        text: ("#[ign", "ore"),
        extensions: &["rs"],
        reason: "a test that nobody runs",
    },
    Forbidden {
        text: ("mark.sk", "ip"),
        extensions: &["py"],
        reason: "a test that nobody runs",
    },
];

/// Every breach of a rule, as `file:line: what is wrong`.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut findings = Vec::new();
    for path in &files {
        let Ok(text) = fs::read_to_string(path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        findings.extend(check_text(&name, &text));
    }
    findings.extend(unlisted_rooms(root)?);
    Ok(findings)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !NOT_SOURCES.contains(&name.as_ref()) && (!name.starts_with('.') || name == ".ci") {
                collect(&path, files)?;
            }
        } else if SOURCES
            .iter()
            .any(|extension| path.extension().is_some_and(|found| found == *extension))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The rules that look at one file.
fn check_text(name: &str, text: &str) -> Vec<String> {
    let extension = name.rsplit('.').next().unwrap_or_default();
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if ["rs", "py", "ts", "tsx"].contains(&extension) && lines > LONGEST {
        findings.push(format!(
            "{name}: {lines} lines, more than {LONGEST}: split it by meaning"
        ));
    }
    if name.ends_with("/mod.rs") {
        findings.push(format!(
            "{name}: the module file stands beside its folder and has the folder's name"
        ));
    }
    for rule in &FORBIDDEN {
        if !rule.extensions.is_empty() && !rule.extensions.contains(&extension) {
            continue;
        }
        let forbidden = [rule.text.0, rule.text.1].concat();
        for (index, line) in text.lines().enumerate() {
            if line
                .match_indices(&forbidden)
                .any(|(start, _text)| stands_alone(line, start))
            {
                findings.push(format!("{name}:{}: `{forbidden}` ({})", index + 1, rule.reason));
            }
        }
    }
    findings
}

/// Whether what begins at `start` is not the middle of a longer word or path.
fn stands_alone(line: &str, start: usize) -> bool {
    let before = line.get(..start).and_then(|before| before.chars().next_back());
    !before.is_some_and(|character| character.is_alphanumeric() || "._-}".contains(character))
}

/// A crate that is not in the workspace is never built or tested; one that the README does not name is never found.
fn unlisted_rooms(root: &Path) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let readme = fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    let mut findings = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if !path.join("Cargo.toml").exists() {
            continue;
        }
        let room = path.file_name().unwrap_or_default().to_string_lossy();
        if !manifest.contains(&format!("\"{room}\"")) {
            findings.push(format!("{room}/: not a member of the workspace in Cargo.toml"));
        }
        if !readme.contains(&format!("{room}/")) {
            findings.push(format!("{room}/: not among the rooms in README.md"));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests;
