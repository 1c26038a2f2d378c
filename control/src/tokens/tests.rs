use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta};
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::clock::Clock;
use crate::error::ErrorKind;
use crate::node_key::NodeKey;

fn clock(ahead: &Arc<AtomicI64>) -> Clock {
    let ahead = Arc::clone(ahead);
    Clock::from_fn(move || DateTime::from_timestamp(1_800_000_000 + ahead.load(Ordering::SeqCst), 0).unwrap())
}

fn key(byte: &str) -> NodeKey {
    NodeKey::parse(&SecretString::from(byte.repeat(42) + "A")).unwrap()
}

#[test]
fn an_access_token_counts_until_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let tokens = AccessTokens::open(dir.path(), clock(&ahead)).unwrap();
    let (text, token) = tokens
        .create("alice".parse().unwrap(), "ci", Some(TimeDelta::seconds(10)))
        .unwrap();
    assert!(text.expose_secret().starts_with("jw_") && text.expose_secret().len() == 46);
    assert_eq!(token.expires_at.unwrap().timestamp(), 1_800_000_010);
    assert_eq!(tokens.verify(&text).unwrap().as_str(), "alice");
    ahead.store(10, Ordering::SeqCst);
    assert_eq!(tokens.verify(&text).unwrap_err().kind(), ErrorKind::Unauthenticated);
    let file = std::fs::read_to_string(dir.path().join("tokens.json")).unwrap();
    assert!(!file.contains(text.expose_secret()));
}

#[test]
fn tokens_made_and_revoked_elsewhere_are_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = AccessTokens::open(dir.path(), Clock::system()).unwrap();
    let beside = AccessTokens::open(dir.path(), Clock::system()).unwrap();
    assert!(running.list(None).unwrap().is_empty());
    let alice = "alice".parse().unwrap();
    let (text, _) = beside.create("alice".parse().unwrap(), "ci", None).unwrap();
    assert_eq!(running.verify(&text).unwrap(), alice);
    assert_eq!(beside.revoke(&alice, "other").unwrap_err().kind(), ErrorKind::NotFound);
    beside.revoke(&alice, "ci").unwrap();
    assert_eq!(running.verify(&text).unwrap_err().kind(), ErrorKind::Unauthenticated);
}

#[test]
fn token_names_are_unique_within_an_account() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = AccessTokens::open(dir.path(), Clock::system()).unwrap();
    tokens.create("alice".parse().unwrap(), "ci", None).unwrap();
    tokens.create("bob".parse().unwrap(), "ci", None).unwrap();
    let kind = |result: crate::Result<_>| result.map(|_: (SecretString, AccessToken)| ()).unwrap_err().kind();
    assert_eq!(
        kind(tokens.create("Alice".parse().unwrap(), "ci", None)),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(tokens.create("alice".parse().unwrap(), " ", None)),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        kind(tokens.create("alice".parse().unwrap(), "x", Some(TimeDelta::zero()))),
        ErrorKind::InvalidArgument
    );
    assert_eq!(tokens.list(Some(&"ALICE".parse().unwrap())).unwrap().len(), 1);
    assert_eq!(tokens.list(None).unwrap().len(), 2);
}

#[test]
fn a_login_token_counts_on_every_replica_with_the_key_until_it_expires() {
    let ahead = Arc::new(AtomicI64::new(0));
    let one = LoginTokens::new(&key("A"), TimeDelta::hours(1), clock(&ahead));
    let replica = LoginTokens::new(&key("A"), TimeDelta::hours(9), clock(&ahead));
    let stranger = LoginTokens::new(&key("B"), TimeDelta::hours(1), clock(&ahead));
    let (text, expires_at) = one.issue(&"alice".parse().unwrap()).unwrap();
    assert_eq!(expires_at.timestamp(), 1_800_003_600);
    assert_eq!(replica.verify(&text).unwrap().account.as_str(), "alice");
    assert!(stranger.verify(&text).is_err());
    ahead.store(3600, Ordering::SeqCst);
    assert!(replica.verify(&text).is_err());
}

#[test]
fn no_byte_of_a_login_token_can_be_changed() {
    let tokens = LoginTokens::new(&key("A"), TimeDelta::hours(1), Clock::system());
    let (text, _) = tokens.issue(&"alice".parse().unwrap()).unwrap();
    let text = text.expose_secret();
    for position in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let tampered = SecretString::from(String::from_utf8(bytes).unwrap());
        assert!(tokens.verify(&tampered).is_err(), "position {position}");
    }
    for other in [
        "",
        ".",
        "jwl_",
        "jwl_.",
        &text[..text.len() - 1],
        &format!("{text}A"),
        &"x".repeat(5000),
    ] {
        assert!(tokens.verify(&SecretString::from(other.to_owned())).is_err(), "{other}");
    }
}
