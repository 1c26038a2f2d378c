//! Commands that need no node.

use crate::harness::{fail, finish, jetway, succeed};

#[test]
fn the_reference_is_a_configuration_file() {
    let dir = tempfile::tempdir().unwrap();
    let reference = succeed(jetway().arg("config"));
    assert!(
        reference.contains("\nflight:\n") && reference.contains("  address: \"127.0.0.1:50050\""),
        "{reference}"
    );
    let path = dir.path().join("jetway.yaml");
    std::fs::write(&path, reference).unwrap();
    let effective = succeed(jetway().args(["config", "--output", "json", "--config"]).arg(&path));
    assert_eq!(effective, succeed(jetway().args(["config", "--output", "json"])));
}

#[test]
fn the_effective_configuration_masks_secrets() {
    let effective = succeed(
        jetway()
            .args(["config", "--output", "json"])
            .env("JETWAY_ADMIN_PASSWORD", "hunter2hunter2"),
    );
    assert!(
        effective.contains("********") && !effective.contains("hunter2"),
        "{effective}"
    );
}

#[test]
fn unknown_keys_stop_a_node_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jetway.yaml");
    std::fs::write(&path, "flight:\n  adress: 127.0.0.1:0\n").unwrap();
    let message = fail(jetway().args(["serve", "--config"]).arg(&path));
    assert!(message.contains("`flight.adress`"), "{message}");
    let message = fail(jetway().arg("serve").env("JETWAY_FLIGHT__ADRESS", "x"));
    assert!(message.contains("`flight.adress`"), "{message}");
}

#[test]
fn every_command_has_help_with_examples_and_shells_get_completions() {
    for command in [
        "serve",
        "sql",
        "ingest",
        "list",
        "add",
        "log",
        "tail",
        "verify",
        "inspect",
        "reindex",
        "rename",
        "delete",
        "reset",
        "set-watermark",
        "config",
        "completions",
    ] {
        let help = succeed(jetway().args([command, "--help"]));
        assert!(help.contains("Example"), "{command}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeed(jetway().args(["completions", shell])).contains("ingest"));
    }
    let (success, _, usage) = finish(&mut jetway());
    assert!(!success && usage.contains("Examples"), "{usage}");
}
