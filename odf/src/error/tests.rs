use std::error::Error as _;

use super::{Error, ErrorKind};

#[test]
fn display_shows_message_rule_and_context_but_not_the_source() {
    let error = Error::invalid_event("D1", "the slice must start at offset 10")
        .with_context("start", 11)
        .with_context("block", "f1620")
        .with_source(std::io::Error::other("secret cause"));
    assert_eq!(
        error.to_string(),
        "the slice must start at offset 10 (rule: D1, start: 11, block: f1620)"
    );
    assert_eq!(error.source().unwrap().to_string(), "secret cause");
    assert_eq!(error.kind(), ErrorKind::InvalidEvent { rule: "D1" });
    assert_eq!(error.rule(), Some("D1"));
}

#[test]
fn failures_are_final_unless_said_otherwise() {
    assert!(!Error::malformed("x").is_retryable());
    assert!(
        Error::new(ErrorKind::Storage, "the store is busy")
            .retryable()
            .is_retryable()
    );
    assert_eq!(Error::malformed("just this").to_string(), "just this");
}
