use std::os::unix::fs::PermissionsExt;

use super::*;

fn list(dir: &Path) -> StateFile<Vec<u32>> {
    StateFile::new(dir.join("numbers.json"))
}

#[test]
fn a_missing_file_is_the_default_and_updates_are_seen_by_every_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (list(dir.path()), list(dir.path()));
    assert!(one.read().unwrap().is_empty());
    one.update(|numbers| {
        numbers.push(1);
        Ok(())
    })
    .unwrap();
    assert_eq!(*other.read().unwrap(), [1]);
    other
        .update(|numbers| {
            numbers.push(2);
            Ok(())
        })
        .unwrap();
    assert_eq!(*one.read().unwrap(), [1, 2]);
}

#[test]
fn a_failed_change_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = list(dir.path());
    let refused = file.update(|numbers| {
        numbers.push(1);
        Err::<(), _>(Error::unauthenticated())
    });
    assert!(refused.is_err());
    assert!(!dir.path().join("numbers.json").exists());
}

#[test]
fn only_the_owner_can_read_it_and_no_temporary_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    list(dir.path()).update(|_| Ok(())).unwrap();
    let mode = fs::metadata(dir.path().join("numbers.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["numbers.json", "numbers.lock"]);
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("numbers.json"), "[1,").unwrap();
    let error = list(dir.path()).read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("numbers.json"), "{error}");
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                list(dir).update(|numbers| {
                    numbers.push(number);
                    Ok(())
                })
            });
        }
    });
    let mut numbers = list(dir.path()).read().unwrap().to_vec();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
}
