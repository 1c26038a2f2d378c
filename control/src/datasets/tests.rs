use chrono::{DateTime, Utc};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::DatasetId;
use jetway_odf::manifest::{Manifest, read_manifests};
use jetway_odf::metadata::{AddData, DatasetKind, MetadataEvent, Seed, SetInfo};
use jetway_odf::storage::{CommitOutcome, Repository, RepositoryOptions};
use jetway_planner::{Access, DatasetCatalog, ErrorKind, PinnedDataset, Result, Subject, TableName};

use super::{NewDataset, ResetTarget, Watermark};
use crate::{RegisteredDataset, StorageCatalog};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    time("2024-06-01T00:00:00Z")
}

fn alice() -> Subject {
    Subject::account("alice".parse().unwrap())
}

fn bob() -> Subject {
    Subject::account("bob".parse().unwrap())
}

async fn catalog() -> StorageCatalog {
    let repository = Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap();
    StorageCatalog::new(repository, "admin".parse().unwrap())
}

/// A root dataset of Alice with three blocks.
async fn trades(catalog: &StorageCatalog) -> PinnedDataset {
    let seed = Seed {
        dataset_id: DatasetId::generate().0,
        dataset_kind: DatasetKind::Root,
    };
    let info = |description: &str| {
        MetadataEvent::SetInfo(SetInfo {
            description: Some(description.to_owned()),
            ..SetInfo::default()
        })
    };
    let definition = vec![info("first"), info("second")];
    let (blocks, _) = ChainState::create(seed, definition, now(), ManifestVersion::default()).unwrap();
    let alias = "trades".parse().unwrap();
    catalog.create(&alice(), &alias, blocks, Vec::new()).await.unwrap()
}

/// Somebody else's commit.
async fn commit_watermark(catalog: &StorageCatalog, dataset: &PinnedDataset, watermark: &str) {
    let head = dataset.storage.head().await.unwrap().unwrap();
    let state = jetway_odf::chain::load(&dataset.storage, head, |_| ()).await.unwrap();
    let event = AddData {
        new_watermark: Some(time(watermark)),
        ..AddData::default()
    };
    let (blocks, _) = state
        .append(vec![MetadataEvent::AddData(event)], now(), ManifestVersion::default())
        .unwrap();
    let outcome = catalog
        .commit(&alice(), dataset, head, blocks, Vec::new())
        .await
        .unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn only_owners_and_admins_change_datasets() {
    let catalog = catalog().await;
    let dataset = trades(&catalog).await;
    let registered = RegisteredDataset::from(&dataset);
    let denied = ErrorKind::PermissionDenied;
    let name = "mine".parse().unwrap();
    assert_eq!(kind(catalog.rename(&bob(), &registered, &name).await), denied);
    assert_eq!(kind(catalog.delete(&bob(), &registered).await), denied);
    assert_eq!(kind(catalog.reset(&bob(), &dataset, ResetTarget::Seed).await), denied);
    assert_eq!(
        kind(catalog.set_watermark(&bob(), &dataset, now(), now()).await),
        denied
    );
    // Nor does an owner give a dataset to somebody else.
    let gift = "bob/trades".parse().unwrap();
    assert_eq!(kind(catalog.rename(&alice(), &registered, &gift).await), denied);
    assert_eq!(dataset.storage.head().await.unwrap(), Some(dataset.head));
}

#[tokio::test]
async fn a_reset_of_what_somebody_else_has_moved_is_a_conflict() {
    let catalog = catalog().await;
    let dataset = trades(&catalog).await;
    commit_watermark(&catalog, &dataset, "2024-01-01T00:00:00Z").await;
    let head = dataset.storage.head().await.unwrap();
    assert_eq!(
        kind(catalog.reset(&alice(), &dataset, ResetTarget::Seed).await),
        ErrorKind::Conflict
    );
    assert_eq!(dataset.storage.head().await.unwrap(), head);

    let again = catalog.resolve_id(&alice(), &dataset.id, Access::Write).await.unwrap();
    let reset = catalog
        .reset(&alice(), &again, ResetTarget::Block(dataset.head))
        .await
        .unwrap();
    assert_eq!((reset.head, reset.removed), (dataset.head, 1));
    assert_eq!(dataset.storage.head().await.unwrap(), Some(dataset.head));
}

#[tokio::test]
async fn a_watermark_is_set_after_what_others_committed_meanwhile() {
    let catalog = catalog().await;
    let dataset = trades(&catalog).await;
    commit_watermark(&catalog, &dataset, "2024-01-01T00:00:00Z").await;
    // The pin is older than the head now.
    let set = catalog
        .set_watermark(&alice(), &dataset, time("2024-02-01T00:00:00Z"), now())
        .await
        .unwrap();
    let head = dataset.storage.head().await.unwrap().unwrap();
    assert_eq!(set, Watermark::Set(head));
    let state = jetway_odf::chain::load(&dataset.storage, head, |_| ()).await.unwrap();
    assert_eq!(state.watermark(), Some(time("2024-02-01T00:00:00Z")));
    assert_eq!(state.counts().blocks, 5);
    let back = catalog
        .set_watermark(&alice(), &dataset, time("2024-01-15T00:00:00Z"), now())
        .await;
    assert_eq!(kind(back), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn of_two_datasets_that_get_the_same_name_one_keeps_its_own() {
    let catalog = catalog().await;
    let first = RegisteredDataset::from(&trades(&catalog).await);
    let second = {
        catalog
            .rename(&alice(), &first, &"first".parse().unwrap())
            .await
            .unwrap();
        RegisteredDataset::from(&trades(&catalog).await)
    };
    let first = RegisteredDataset {
        alias: "alice/first".parse().unwrap(),
        ..first
    };
    let name = "same".parse().unwrap();
    let (alice_1, alice_2) = (alice(), alice());
    let (one, other) = futures::join!(
        catalog.rename(&alice_1, &first, &name),
        catalog.rename(&alice_2, &second, &name)
    );
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|won| **won).count(), 1);
    let registered = catalog.registered(&alice()).await.unwrap();
    let names: Vec<String> = registered.iter().map(|dataset| dataset.alias.to_string()).collect();
    assert!(names.contains(&"alice/same".to_owned()), "{names:?}");
    assert_eq!(names.len(), 2);
    let found = catalog
        .resolve(&alice(), &TableName::Alias(name), Access::Read)
        .await
        .unwrap();
    assert_eq!(found.alias.to_string(), "alice/same");
}

#[tokio::test]
async fn manifests_are_made_in_the_own_account_and_their_faults_have_a_position() {
    let catalog = catalog().await;
    let read = |text: &str| {
        let manifests = read_manifests(text).unwrap();
        let datasets = manifests.into_iter().map(|manifest| match manifest {
            Manifest::DatasetSnapshot(snapshot) => NewDataset { id: None, snapshot },
            other => panic!("{other:?}"),
        });
        datasets.collect::<Vec<_>>()
    };
    let root = |name: &str| {
        format!("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata: []\n---\n")
    };
    let refusal = catalog
        .check_new(&alice(), read(&(root("a") + &root("bob/b"))), false, now())
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.position, refusal.error.kind()),
        (Some(1), ErrorKind::PermissionDenied)
    );

    let checked = catalog
        .check_new(&alice(), read(&(root("a") + &root("b"))), false, now())
        .await
        .unwrap();
    // Checking writes nothing.
    assert!(catalog.registered(&alice()).await.unwrap().is_empty());
    for dataset in checked {
        catalog.make(&alice(), dataset).await.unwrap();
    }
    let refusal = catalog
        .check_new(&alice(), read(&root("A")), false, now())
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.position, refusal.error.kind()),
        (Some(0), ErrorKind::AlreadyExists)
    );
}
