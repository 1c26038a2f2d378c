use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// Seconds that the test's clock is ahead of a fixed moment.
fn clock(ahead: &Arc<AtomicI64>) -> Clock {
    let ahead = Arc::clone(ahead);
    Clock::from_fn(move || DateTime::from_timestamp(1_800_000_000 + ahead.load(Ordering::SeqCst), 0).unwrap())
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn the_first_start_makes_an_admin_with_a_random_password_once() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(&dir.path().join("new"), Clock::system()).unwrap();
    let FirstAdmin::Generated(password) = accounts.ensure_admin(None).unwrap() else {
        panic!("no password was generated");
    };
    assert!(password.expose_secret().len() >= 20);
    assert!(accounts.verify(ADMIN, &password).await.unwrap().subject().is_admin());
    assert!(matches!(accounts.ensure_admin(None).unwrap(), FirstAdmin::NotNeeded));
    let file = std::fs::read_to_string(dir.path().join("new/accounts.json")).unwrap();
    assert!(!file.contains(password.expose_secret()) && file.contains("$argon2id$"));
}

#[tokio::test]
async fn the_first_start_takes_a_given_password_but_no_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(dir.path(), Clock::system()).unwrap();
    assert_eq!(
        kind(accounts.ensure_admin(Some(&secret("short")))),
        ErrorKind::InvalidArgument
    );
    assert!(matches!(
        accounts.ensure_admin(Some(&secret("long enough"))).unwrap(),
        FirstAdmin::Given
    ));
    accounts.verify("Admin", &secret("long enough")).await.unwrap();
}

#[tokio::test]
async fn every_wrong_login_gets_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(dir.path(), Clock::system()).unwrap();
    accounts
        .create("alice".parse().unwrap(), &secret("correct horse"), false)
        .unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("alice", "wrong horse"),
        ("nobody", "correct horse"),
        ("not a name!", "x"),
        ("", ""),
    ] {
        answers.push(accounts.verify(name, &secret(password)).await.unwrap_err().to_string());
    }
    answers.push(
        accounts
            .verify("alice", &secret(&"x".repeat(5000)))
            .await
            .unwrap_err()
            .to_string(),
    );
    answers.dedup();
    assert_eq!(answers, ["wrong account, password or token"]);
    let account = accounts.verify("ALICE", &secret("correct horse")).await.unwrap();
    assert!(!account.subject().is_admin());
}

#[tokio::test]
async fn repeated_failures_must_wait_and_a_success_clears_them() {
    let dir = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let accounts = Accounts::open(dir.path(), clock(&ahead)).unwrap();
    accounts
        .create("alice".parse().unwrap(), &secret("correct horse"), false)
        .unwrap();
    for _ in 0..5 {
        assert_eq!(
            kind(accounts.verify("alice", &secret("wrong horse")).await),
            ErrorKind::Unauthenticated
        );
    }
    assert_eq!(
        kind(accounts.verify("Alice", &secret("correct horse")).await),
        ErrorKind::TooManyAttempts
    );
    ahead.store(2, Ordering::SeqCst);
    accounts.verify("alice", &secret("correct horse")).await.unwrap();
    assert_eq!(
        kind(accounts.verify("alice", &secret("wrong horse")).await),
        ErrorKind::Unauthenticated
    );
    accounts.verify("alice", &secret("correct horse")).await.unwrap();
}

#[test]
fn the_wait_doubles_up_to_a_bound() {
    let throttle = Throttle::default();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let waits: Vec<i64> = (0..80)
        .map(|_| {
            throttle.failed("alice", now);
            (0..100)
                .find(|ahead| {
                    throttle
                        .check("alice", now + chrono::TimeDelta::seconds(*ahead))
                        .is_ok()
                })
                .unwrap()
        })
        .collect();
    assert_eq!(waits[..11], [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(waits[79], 30);
}

#[test]
fn the_decoy_costs_as_much_as_a_real_hash() {
    let real = password::hash(&secret("long enough")).unwrap();
    let parameters = |hash: &str| hash.split('$').skip(1).take(3).map(str::to_owned).collect::<Vec<_>>();
    let lengths = |hash: &str| hash.split('$').skip(4).map(str::len).collect::<Vec<_>>();
    assert_eq!(parameters(&real), parameters(password::DECOY_HASH));
    assert_eq!(lengths(&real), lengths(password::DECOY_HASH));
    assert!(!password::verify("", password::DECOY_HASH).unwrap());
}

#[tokio::test]
async fn names_are_unique_without_case_and_passwords_can_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::open(dir.path(), Clock::system()).unwrap();
    accounts
        .create("alice".parse().unwrap(), &secret("correct horse"), false)
        .unwrap();
    assert_eq!(
        kind(accounts.create("Alice".parse().unwrap(), &secret("correct horse"), true)),
        ErrorKind::AlreadyExists
    );
    accounts
        .set_password(&"ALICE".parse().unwrap(), &secret("battery staple"))
        .unwrap();
    assert_eq!(
        kind(accounts.verify("alice", &secret("correct horse")).await),
        ErrorKind::Unauthenticated
    );
    accounts.verify("alice", &secret("battery staple")).await.unwrap();
    assert_eq!(
        kind(accounts.set_password(&"bob".parse().unwrap(), &secret("battery staple"))),
        ErrorKind::NotFound
    );
    assert_eq!(accounts.list().unwrap().len(), 1);
}
