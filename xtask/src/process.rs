//! Running other programs, with errors that name them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs to the end with this program's own input and output.
///
/// # Errors
/// When the program cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed, trimmed.
///
/// # Errors
/// When the program cannot be started or fails; then its error output is in the message.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({})\n{}", name(command), output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The program and its first arguments, for messages.
pub(crate) fn name(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut words = vec![program.rsplit('/').next().unwrap_or(&program).to_owned()];
    words.extend(
        command
            .get_args()
            .take(3)
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    format!("`{}`", words.join(" "))
}
