use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn it_is_made_once_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = NodeKey::open(dir.path()).unwrap();
    let second = NodeKey::open(dir.path()).unwrap();
    assert_eq!(first.derive("x"), second.derive("x"));
    assert_ne!(first.derive("x"), first.derive("y"));
    let mode = std::fs::metadata(dir.path().join("node.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn processes_that_start_at_the_same_moment_agree() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| NodeKey::open(dir.path()).unwrap().derive("x")))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn a_damaged_or_short_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("node.key"), "AAAA").unwrap();
    assert_eq!(NodeKey::open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(
        NodeKey::parse(&SecretString::from("!".to_owned())).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}
