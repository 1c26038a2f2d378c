use super::*;

#[test]
fn the_first_start_makes_a_key_for_its_owner_alone_and_later_ones_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let first = open_signing_key(&data_dir).unwrap();
    assert_eq!(open_signing_key(&data_dir).unwrap().did(), first.did());
    assert!(first.did().to_string().starts_with("did:key:z6Mk"));
    let mode = std::fs::metadata(signing_key_path(&data_dir))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let other = open_signing_key(&folder.path().join("other")).unwrap();
    assert_ne!(other.did(), first.did());
}

#[test]
fn a_damaged_key_is_told_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = signing_key_path(folder.path());
    std::fs::write(&path, "secret").unwrap();
    let error = open_signing_key(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("signing.key") && !format!("{error:?}").contains("secret"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
}
