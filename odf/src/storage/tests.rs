//! What needs to look behind the public interface: parsing, options and what a dead process leaves.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use secrecy::SecretString;

use super::cloud::{AzureOptions, GcsOptions, S3Options};
use super::layout::{parse_folder_name, parse_head};
use super::pending::{PendingFile, sweep};
use crate::error::ErrorKind;
use crate::identity::{DatasetId, Multihash};

#[test]
fn a_head_is_exactly_the_text_of_a_hash() {
    let hash = Multihash::sha3_256(b"block");
    let text = hash.to_string();
    assert_eq!(parse_head(text.as_bytes()).unwrap(), hash);

    let logical = Multihash::arrow0_sha3_256([7; 32]).to_string();
    let cases = [
        (format!("{text}\n"), "ends in a line break"),
        (format!(" {text}"), "has the wrong length"),
        (String::new(), "has the wrong length"),
        (logical, "has the wrong length"),
        ("f".repeat(69), "is not a hash"),
        (text.replace("f1620", "f1220"), "is a hash of another kind"),
    ];
    for (bytes, reason) in cases {
        let error = parse_head(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains(reason), "{bytes:?}: {error}");
    }
}

#[test]
fn only_the_one_spelling_of_an_id_is_a_folder_of_ours() {
    let id = DatasetId::seeded(b"a");
    let name = id.to_multibase();
    assert_eq!(parse_folder_name(&name), Some(id));
    assert_eq!(parse_folder_name(&name.to_uppercase()), None);
    let base58 = id.to_did_key();
    assert_eq!(parse_folder_name(base58.trim_start_matches("did:key:")), None);
    for foreign in ["", ".git", "lost+found", "fed01", "f1620aa", "../etc"] {
        assert_eq!(parse_folder_name(foreign), None, "{foreign}");
    }
}

#[test]
fn options_go_over_the_environment() {
    let environment = || {
        [
            ("AWS_ENDPOINT", "http://from-environment:1"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_ACCESS_KEY_ID", "environment-id"),
            ("AWS_SECRET_ACCESS_KEY", "environment-secret"),
            ("AWS_SESSION_TOKEN", "environment-token"),
            ("AWS_PAGER", "less"),
            ("REGION", "none"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let values = |options: &S3Options| {
        let builder = options.builder("bucket", environment()).unwrap();
        [
            AmazonS3ConfigKey::Endpoint,
            AmazonS3ConfigKey::Region,
            AmazonS3ConfigKey::AccessKeyId,
            AmazonS3ConfigKey::SecretAccessKey,
            AmazonS3ConfigKey::Token,
        ]
        .map(|key| builder.get_config_value(&key))
    };
    let some = |text: &str| Some(text.to_owned());

    assert_eq!(
        values(&S3Options::default()),
        [
            some("http://from-environment:1"),
            some("eu-north-1"),
            some("environment-id"),
            some("environment-secret"),
            some("environment-token"),
        ]
    );
    let own = S3Options {
        endpoint: some("https://own"),
        access_key_id: some("own-id"),
        secret_access_key: Some(SecretString::from("own-secret")),
        ..S3Options::default()
    };
    // The token of the environment does not go with the key of the options.
    assert_eq!(
        values(&own),
        [
            some("https://own"),
            some("eu-north-1"),
            some("own-id"),
            some("own-secret"),
            None
        ]
    );
    assert!(!format!("{own:?}").contains("own-secret"));

    let half = S3Options {
        access_key_id: some("own-id"),
        ..S3Options::default()
    };
    assert_eq!(
        half.builder("bucket", environment()).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn options_of_azure_go_over_the_environment() {
    let environment = || {
        [
            ("AZURE_STORAGE_ACCOUNT_NAME", "environment-account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "environment-key"),
            ("AZURE_CONTAINER_NAME", "environment-container"),
            ("ACCOUNT_KEY", "none"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let values = |options: &AzureOptions, account| {
        let builder = options.builder("container", account, environment()).unwrap();
        [
            AzureConfigKey::ContainerName,
            AzureConfigKey::AccountName,
            AzureConfigKey::AccessKey,
            AzureConfigKey::SasKey,
        ]
        .map(|key| builder.get_config_value(&key))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        values(&AzureOptions::default(), None),
        [
            some("container"),
            some("environment-account"),
            some("environment-key"),
            None
        ]
    );
    // A key of the environment does not go with a signature of the options.
    let own = AzureOptions {
        account: some("own-account"),
        sas_token: Some(SecretString::from("own-signature")),
        ..AzureOptions::default()
    };
    assert_eq!(
        values(&own, None),
        [some("container"), some("own-account"), None, some("own-signature")]
    );
    assert_eq!(values(&own, Some("url-account"))[1], some("url-account"));
    assert!(!format!("{own:?}").contains("own-signature"));

    let half = AzureOptions {
        client_secret: Some(SecretString::from("secret")),
        ..AzureOptions::default()
    };
    let both = AzureOptions {
        access_key: Some(SecretString::from("key")),
        ..own
    };
    for contradiction in [half, both] {
        let error = contradiction.builder("container", None, environment()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn options_of_google_go_over_the_environment() {
    let environment = || {
        [
            ("GOOGLE_SERVICE_ACCOUNT", "environment-file"),
            ("GOOGLE_BUCKET", "environment-bucket"),
            ("GOOGLE_BASE_URL", "http://environment:1"),
            ("GOOGLE_CLOUD_PROJECT", "project"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let values = |options: &GcsOptions| {
        let builder = options.builder("bucket", environment()).unwrap();
        [
            GoogleConfigKey::Bucket,
            GoogleConfigKey::BaseUrl,
            GoogleConfigKey::ServiceAccount,
            GoogleConfigKey::ServiceAccountKey,
        ]
        .map(|key| builder.get_config_value(&key))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        values(&GcsOptions::default()),
        [
            some("bucket"),
            some("http://environment:1"),
            some("environment-file"),
            None
        ]
    );
    let own = GcsOptions {
        endpoint: some("https://own"),
        service_account_key: Some(SecretString::from("own-key")),
        ..GcsOptions::default()
    };
    assert_eq!(
        values(&own),
        [some("bucket"), some("https://own"), None, some("own-key")]
    );
    assert!(!format!("{own:?}").contains("own-key"));
    let both = GcsOptions {
        service_account_file: Some("file".into()),
        ..own
    };
    let error = both.builder("bucket", environment()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn only_what_a_dead_process_left_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let two_hours_ago = FileTimes::new().set_modified(now - Duration::from_secs(2 * 60 * 60));
    let create = |name: &str, is_old: bool| {
        let path = folder.path().join(name);
        let file = File::create(&path).unwrap();
        if is_old {
            file.set_times(two_hours_ago).unwrap();
        }
        path
    };
    let old = create(".pending-0123456789abcdef", true);
    let fresh = create(".pending-fedcba9876543210", false);
    let foreign = create(".pending-of-somebody-else", true);
    let object = create("f1620", true);
    let held = PendingFile::create_in(folder.path()).unwrap();
    held.as_file().set_times(two_hours_ago).unwrap();

    sweep(folder.path(), now);

    assert!(!old.exists());
    for path in [&*fresh, &*foreign, &*object, held.path()] {
        assert!(path.exists(), "{path:?}");
    }

    let path = held.path().to_owned();
    drop(held);
    assert!(!path.exists());
}
