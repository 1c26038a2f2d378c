use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;

use super::*;
use crate::clock::Clock;
use crate::node_key::NodeKey;

struct Node {
    _dir: tempfile::TempDir,
    ahead: Arc<AtomicI64>,
    accounts: Accounts,
    access_tokens: AccessTokens,
    authentication: Authentication,
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn node() -> Node {
    let dir = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&ahead);
    let clock =
        Clock::from_fn(move || DateTime::from_timestamp(1_800_000_000 + shown.load(Ordering::SeqCst), 0).unwrap());
    let accounts = Accounts::open(dir.path(), clock.clone()).unwrap();
    let access_tokens = AccessTokens::open(dir.path(), clock.clone()).unwrap();
    let login_tokens = LoginTokens::new(&NodeKey::open(dir.path()).unwrap(), TimeDelta::hours(1), clock);
    accounts
        .create("alice".parse().unwrap(), &secret("correct horse"), false)
        .unwrap();
    let authentication = Authentication::new(accounts.clone(), access_tokens.clone(), login_tokens);
    Node {
        _dir: dir,
        ahead,
        accounts,
        access_tokens,
        authentication,
    }
}

#[tokio::test]
async fn a_login_gives_a_token_that_ends_with_the_password() {
    let node = node();
    let login = node
        .authentication
        .basic("alice", &secret("correct horse"))
        .await
        .unwrap();
    assert_eq!(node.authentication.bearer(&login.token).unwrap(), login.subject);
    node.ahead.store(1, Ordering::SeqCst);
    node.accounts
        .set_password(&"alice".parse().unwrap(), &secret("battery staple"))
        .unwrap();
    assert_eq!(
        node.authentication.bearer(&login.token).unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

#[tokio::test]
async fn an_access_token_works_as_bearer_and_as_password_of_its_own_account() {
    let node = node();
    let (token, _) = node.access_tokens.create("alice".parse().unwrap(), "ci", None).unwrap();
    assert_eq!(node.authentication.bearer(&token).unwrap().name().as_str(), "alice");
    assert_eq!(
        node.authentication
            .basic("Alice", &token)
            .await
            .unwrap()
            .subject
            .name()
            .as_str(),
        "alice"
    );
    let other = node.authentication.basic("bob", &token).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Unauthenticated);
    node.access_tokens.revoke(&"alice".parse().unwrap(), "ci").unwrap();
    assert_eq!(
        node.authentication.bearer(&token).unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

#[test]
fn a_token_of_a_missing_account_is_as_wrong_as_any_other() {
    let node = node();
    let (token, _) = node.access_tokens.create("bob".parse().unwrap(), "ci", None).unwrap();
    let missing = node.authentication.bearer(&token).unwrap_err();
    let wrong = node.authentication.bearer(&secret("jw_x")).unwrap_err();
    let malformed = node.authentication.bearer(&secret("x")).unwrap_err();
    assert_eq!(missing.to_string(), wrong.to_string());
    assert_eq!(missing.to_string(), malformed.to_string());
}
