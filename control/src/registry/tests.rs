use chrono::{DateTime, Utc};
use jetway_odf::codec::ManifestVersion;
use jetway_odf::metadata::{MetadataBlock, Seed, SetInfo};
use jetway_odf::storage::{HeadSwap, RepositoryOptions};

use super::*;

fn block(sequence_number: u64, prev_block_hash: Option<Multihash>, event: MetadataEvent) -> EncodedBlock {
    let system_time: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let block = MetadataBlock {
        system_time,
        prev_block_hash,
        sequence_number,
        event,
    };
    EncodedBlock::encode(block, ManifestVersion::V3).unwrap()
}

fn seed_block(id: DatasetId, kind: DatasetKind) -> EncodedBlock {
    block(
        0,
        None,
        MetadataEvent::Seed(Seed {
            dataset_id: id,
            dataset_kind: kind,
        }),
    )
}

fn new_seed() -> Vec<EncodedBlock> {
    vec![seed_block(DatasetId::generate().0, DatasetKind::Root)]
}

fn alice() -> Subject {
    Subject::account("alice".parse().unwrap())
}

fn admin() -> Subject {
    Subject::admin("admin".parse().unwrap())
}

fn alias(text: &str) -> DatasetAlias {
    text.parse().unwrap()
}

fn name(text: &str) -> TableName {
    match text.split_once('.') {
        Some((account, name)) => TableName::parse(None, Some(account), name).unwrap(),
        None => TableName::parse(None, None, text).unwrap(),
    }
}

async fn repository() -> Repository {
    Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap()
}

fn catalog(repository: &Repository) -> StorageCatalog {
    StorageCatalog::new(repository.clone(), "admin".parse().unwrap())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_name_is_found_in_any_case_and_with_underscores() {
    let catalog = catalog(&repository().await);
    let made = catalog
        .create(&alice(), &alias("My-Table"), new_seed(), Vec::new())
        .await
        .unwrap();
    assert_eq!(made.alias.to_string(), "alice/My-Table");
    for spelling in ["my_table", "alice.my_table", "ALICE.MY-TABLE"] {
        let found = catalog.resolve(&alice(), &name(spelling), Access::Write).await.unwrap();
        assert_eq!(
            (found.id, found.head, found.kind),
            (made.id, made.head, DatasetKind::Root),
            "{spelling}"
        );
    }
    assert_eq!(
        catalog.resolve_id(&admin(), &made.id, Access::Read).await.unwrap().id,
        made.id
    );
    assert_eq!(
        kind(catalog.resolve(&admin(), &name("my_table"), Access::Read).await),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(
            catalog
                .resolve_id(&admin(), &DatasetId::generate().0, Access::Read)
                .await
        ),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_taken_name_is_refused_and_only_one_of_many_makers_wins() {
    let repository = repository().await;
    let catalog = catalog(&repository);
    let (subject, wanted) = (alice(), alias("trades"));
    let attempts = (0..8).map(|_| catalog.create(&subject, &wanted, new_seed(), Vec::new()));
    let outcomes = futures::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .into_iter()
            .filter(Result::is_err)
            .all(|outcome| kind(outcome) == ErrorKind::AlreadyExists)
    );
    assert_eq!(
        kind(catalog.create(&subject, &alias("TRADES"), new_seed(), Vec::new()).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(repository.list().count().await, 1);
}

#[tokio::test]
async fn a_failed_attempt_gives_the_name_back() {
    let catalog = catalog(&repository().await);
    assert_eq!(
        kind(catalog.create(&alice(), &alias("trades"), Vec::new(), Vec::new()).await),
        ErrorKind::Internal
    );
    catalog
        .create(&alice(), &alias("trades"), new_seed(), Vec::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn everybody_reads_and_only_owner_and_admin_write() {
    let catalog = catalog(&repository().await);
    let bob = Subject::account("bob".parse().unwrap());
    let made = catalog
        .create(&alice(), &alias("Alice/trades"), new_seed(), Vec::new())
        .await
        .unwrap();
    catalog
        .resolve(&bob, &name("alice.trades"), Access::Read)
        .await
        .unwrap();
    assert_eq!(
        kind(catalog.resolve(&bob, &name("alice.trades"), Access::Write).await),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        kind(catalog.resolve_id(&bob, &made.id, Access::Write).await),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        kind(catalog.commit(&bob, &made, made.head, Vec::new(), Vec::new()).await),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        kind(catalog.create(&bob, &alias("alice/more"), new_seed(), Vec::new()).await),
        ErrorKind::PermissionDenied
    );
    catalog
        .resolve(&admin(), &name("alice.trades"), Access::Write)
        .await
        .unwrap();
    catalog
        .create(&admin(), &alias("alice/more"), new_seed(), Vec::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_has_no_account_reads_what_is_public_and_changes_nothing() {
    let repository = repository().await;
    let made = catalog(&repository);
    let bob = Subject::account("bob".parse().unwrap());
    for (owner, dataset) in [(&alice(), "alice/open"), (&bob, "bob/closed")] {
        made.create(owner, &alias(dataset), new_seed(), vec![]).await.unwrap();
    }
    let closed = made.resolve(&bob, &name("closed"), Access::Read).await.unwrap();
    let nobody = Subject::anonymous("anonymous".parse().unwrap());
    for (public, seen) in [
        ("", vec![]),
        ("alice, carol", vec!["alice"]),
        ("*", vec!["alice", "bob"]),
    ] {
        let catalog = catalog(&repository).with_public(public.parse().unwrap());
        let listed: Vec<PinnedDataset> = catalog.list(&nobody).try_collect().await.unwrap();
        let owners: Vec<String> = listed
            .iter()
            .map(|dataset| dataset.alias.account.clone().unwrap().to_string())
            .collect();
        assert_eq!(owners, seen, "{public}");
        assert_eq!(
            catalog.names(&nobody, None).await.unwrap().len(),
            seen.len(),
            "{public}"
        );
        assert_eq!(catalog.accounts(&nobody).await.unwrap(), seen, "{public}");
        assert_eq!(catalog.registered(&nobody).await.unwrap().len(), seen.len(), "{public}");
        for (dataset, owner) in [("alice.open", "alice"), ("bob.closed", "bob")] {
            let read = catalog.resolve(&nobody, &name(dataset), Access::Read).await;
            assert_eq!(read.is_ok(), seen.contains(&owner), "{public}: {dataset}");
            let write = catalog.resolve(&nobody, &name(dataset), Access::Write).await;
            let expected = if seen.contains(&owner) {
                ErrorKind::PermissionDenied
            } else {
                ErrorKind::NotFound
            };
            assert_eq!(kind(write), expected, "{public}: {dataset}");
        }
        let by_identity = catalog.resolve_id(&nobody, &closed.id, Access::Read).await;
        assert_eq!(by_identity.is_ok(), seen.contains(&"bob"), "{public}");
        for alias in [alias("mine"), alias("anonymous/mine"), alias("alice/mine")] {
            let made = catalog.create(&nobody, &alias, new_seed(), vec![]).await;
            assert_eq!(kind(made), ErrorKind::PermissionDenied, "{public}: {alias}");
        }
        let committed = catalog.commit(&nobody, &closed, closed.head, vec![], vec![]).await;
        assert_eq!(kind(committed), ErrorKind::PermissionDenied, "{public}");
        assert_eq!(
            kind(DatasetCatalog::delete(&catalog, &nobody, &closed).await),
            ErrorKind::PermissionDenied,
            "{public}"
        );
    }
    assert!("no account!".parse::<PublicAccounts>().is_err());
}

#[tokio::test]
async fn a_commit_moves_the_head_once() {
    let catalog = catalog(&repository().await);
    let made = catalog
        .create(&alice(), &alias("trades"), new_seed(), Vec::new())
        .await
        .unwrap();
    let info = MetadataEvent::SetInfo(SetInfo {
        description: Some("prices".to_owned()),
        keywords: None,
    });
    let next = block(1, Some(made.head), info);
    let hash = next.hash;
    let outcome = catalog
        .commit(&alice(), &made, made.head, vec![next], Vec::new())
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: hash });
    assert_eq!(
        catalog
            .resolve(&alice(), &name("trades"), Access::Read)
            .await
            .unwrap()
            .head,
        hash
    );
    let other = MetadataEvent::SetInfo(SetInfo {
        description: Some("other".to_owned()),
        keywords: None,
    });
    let late = block(1, Some(made.head), other);
    let outcome = catalog
        .commit(&alice(), &made, made.head, vec![late], Vec::new())
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Conflict { actual: Some(hash) });
}

#[tokio::test]
async fn datasets_of_other_processes_are_found_and_deleted_ones_are_gone() {
    let repository = repository().await;
    let (one, other) = (catalog(&repository), catalog(&repository));
    let id = DatasetId::generate().0;
    repository
        .create(id, Some(&alias("old-name")), &[seed_block(id, DatasetKind::Derivative)])
        .await
        .unwrap();
    let unnamed = DatasetId::generate().0;
    repository
        .create(unnamed, None, &[seed_block(unnamed, DatasetKind::Root)])
        .await
        .unwrap();

    let found = one
        .resolve(&alice(), &name("admin.old_name"), Access::Read)
        .await
        .unwrap();
    assert_eq!((found.id, found.kind), (id, DatasetKind::Derivative));
    let by_did = one
        .resolve(&admin(), &name(&unnamed.to_multibase()), Access::Read)
        .await
        .unwrap();
    assert_eq!(by_did.id, unnamed);

    let made = other
        .create(&alice(), &alias("new"), new_seed(), Vec::new())
        .await
        .unwrap();
    assert_eq!(
        one.resolve_id(&alice(), &made.id, Access::Read)
            .await
            .unwrap()
            .alias
            .to_string(),
        "alice/new"
    );
    assert_eq!(
        one.resolve(&alice(), &name("new"), Access::Read).await.unwrap().id,
        made.id
    );

    repository.delete(made.id).await.unwrap();
    assert_eq!(
        kind(one.resolve(&alice(), &name("new"), Access::Read).await),
        ErrorKind::NotFound
    );
    one.create(&alice(), &alias("new"), new_seed(), Vec::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn listings_are_in_order_and_name_every_account() {
    let catalog = catalog(&repository().await);
    for wanted in ["bob/b", "alice/z", "Bob/a", "alice/A"] {
        catalog
            .create(&admin(), &alias(wanted), new_seed(), Vec::new())
            .await
            .unwrap();
    }
    let carol = Subject::account("carol".parse().unwrap());
    let listed: Vec<String> = catalog
        .list(&carol)
        .map_ok(|dataset| dataset.alias.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed, ["alice/A", "alice/z", "Bob/a", "bob/b"]);
    let named = async |account: Option<&str>| -> Vec<String> {
        let account = account.map(|account| account.parse().unwrap());
        let entries = catalog.names(&carol, account.as_ref()).await.unwrap();
        entries.iter().map(|entry| entry.alias.to_string()).collect()
    };
    assert_eq!(named(None).await, listed);
    assert_eq!(named(Some("BOB")).await, ["Bob/a", "bob/b"]);
    assert!(named(Some("carol")).await.is_empty());
    let accounts = catalog.accounts(&carol).await.unwrap();
    let lower: Vec<String> = accounts.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(lower, ["alice", "bob", "carol"]);
    catalog.check().await.unwrap();
}

/// What another process makes, renames and removes shows in listings after the moment for which they count as fresh.
#[tokio::test]
async fn names_follow_what_other_processes_do() {
    let repository = repository().await;
    let (one, other) = (catalog(&repository), catalog(&repository));
    let names = async || -> Vec<String> {
        let entries = one.names(&alice(), None).await.unwrap();
        entries
            .iter()
            .map(|entry| format!("{} {:?}", entry.alias, entry.kind))
            .collect()
    };
    assert!(names().await.is_empty());
    let kept = other
        .create(&alice(), &alias("kept"), new_seed(), Vec::new())
        .await
        .unwrap();
    let gone = other
        .create(&alice(), &alias("gone"), new_seed(), Vec::new())
        .await
        .unwrap();
    let own = one
        .create(&alice(), &alias("own"), new_seed(), Vec::new())
        .await
        .unwrap();
    tokio::time::sleep(LISTING_AGE).await;
    assert_eq!(names().await, ["alice/gone Root", "alice/kept Root", "alice/own Root"]);
    repository.delete(gone.id).await.unwrap();
    kept.storage.set_alias(&alias("alice/renamed")).await.unwrap();
    tokio::time::sleep(LISTING_AGE).await;
    assert_eq!(names().await, ["alice/own Root", "alice/renamed Root"]);
    repository.delete(own.id).await.unwrap();
    tokio::time::sleep(LISTING_AGE).await;
    assert_eq!(names().await, ["alice/renamed Root"]);
}

#[tokio::test]
async fn a_damaged_alias_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::open(dir.path().to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    let id = DatasetId::generate().0;
    repository
        .create(id, Some(&alias("fine")), &[seed_block(id, DatasetKind::Root)])
        .await
        .unwrap();
    let file = dir.path().join(id.to_multibase()).join("info/alias");
    for damage in ["not an alias!".to_owned(), "x".repeat(5000)] {
        std::fs::write(&file, &damage).unwrap();
        let catalog = catalog(&repository);
        let listed: Vec<PinnedDataset> = catalog.list(&admin()).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].alias.to_string(), format!("admin/{}", id.to_multibase()));
        let registered = catalog.registered(&admin()).await.unwrap();
        assert_eq!(registered, [RegisteredDataset::from(&listed[0])]);
        // Another name mends it.
        catalog
            .rename(&admin(), &registered[0], &alias("mended"))
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "admin/mended");
    }
}

#[tokio::test]
async fn of_two_who_make_a_dataset_under_different_names_the_second_leaves_no_name() {
    let repository = repository().await;
    let catalog = catalog(&repository);
    let id = DatasetId::generate().0;
    let seed = seed_block(id, DatasetKind::Root);
    let storage = repository.dataset(id);
    storage.put_block(seed.hash, seed.bytes.clone()).await.unwrap();
    let (first, second) = (alias("first"), alias("second"));
    // As while the first one is between its name and its head.
    let reserved = catalog.names.index.reserve(&by_identity(&id).unwrap()).unwrap();
    storage.set_alias(&first).await.unwrap();
    let pushed = catalog.publish(&alice(), &second, &storage, None, seed.hash).await;
    assert_eq!(kind(pushed), ErrorKind::Conflict);
    let made = catalog.create(&alice(), &second, vec![seed.clone()], Vec::new()).await;
    assert_eq!(kind(made), ErrorKind::AlreadyExists);
    assert_eq!(storage.alias().await.unwrap(), Some(first.clone()));
    drop(reserved);
    let swap = catalog.publish(&alice(), &first, &storage, None, seed.hash).await;
    assert_eq!(swap.unwrap(), HeadSwap::Swapped);
    let late = catalog.publish(&alice(), &second, &storage, None, seed.hash).await;
    assert_eq!(kind(late), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn roots_and_derivatives_may_be_apart() {
    let (roots, derivatives) = (repository().await, repository().await);
    let apart = || StorageCatalog::with_derivatives(roots.clone(), derivatives.clone(), "admin".parse().unwrap());
    let catalog = apart();
    let id = DatasetId::generate().0;
    catalog
        .create(&alice(), &alias("root"), new_seed(), Vec::new())
        .await
        .unwrap();
    catalog
        .create(
            &alice(),
            &alias("derivative"),
            vec![seed_block(id, DatasetKind::Derivative)],
            Vec::new(),
        )
        .await
        .unwrap();
    let count = async |repository: &Repository| repository.list().count().await;
    assert_eq!((count(&roots).await, count(&derivatives).await), (1, 1));

    // As another process sees them: by name, by identity, and all.
    let dataset = apart()
        .resolve(&alice(), &name("derivative"), Access::Read)
        .await
        .unwrap();
    assert_eq!((dataset.id, dataset.kind), (id, DatasetKind::Derivative));
    assert_eq!(dataset.storage.base_url(), derivatives.base_url());
    let dataset = apart().resolve_id(&alice(), &id, Access::Write).await.unwrap();
    assert_eq!(dataset.storage.base_url(), derivatives.base_url());
    let other = apart();
    let listed: Vec<PinnedDataset> = other.list(&alice()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(other.registered(&alice()).await.unwrap().len(), 2);
    assert_eq!(other.storage(&id).base_url(), derivatives.base_url());
    // Names are taken across both.
    let again = vec![seed_block(DatasetId::generate().0, DatasetKind::Derivative)];
    assert_eq!(
        kind(apart().create(&alice(), &alias("root"), again, Vec::new()).await),
        ErrorKind::AlreadyExists
    );
}

#[tokio::test]
async fn what_is_read_only_is_found_but_not_given_for_writing() {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().to_str().unwrap();
    let open = async |read_only| {
        let options = RepositoryOptions {
            read_only,
            ..RepositoryOptions::default()
        };
        catalog(&Repository::open(location, &options).await.unwrap())
    };
    open(false)
        .await
        .create(&alice(), &alias("table"), new_seed(), Vec::new())
        .await
        .unwrap();
    let catalog = open(true).await;
    catalog.resolve(&alice(), &name("table"), Access::Read).await.unwrap();
    let refused = catalog
        .resolve(&alice(), &name("table"), Access::Write)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.message().contains("reading only"), "{refused}");
    let created = catalog.create(&alice(), &alias("other"), new_seed(), Vec::new()).await;
    assert_eq!(kind(created), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn views_are_kept_in_the_repository_and_share_names_with_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let local = Repository::open(folder.path().to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    for repository in [repository().await, local] {
        let (one, other) = (catalog(&repository), catalog(&repository));
        let view = |name: &str, query: &str| View {
            alias: alias(name),
            query: query.to_owned(),
        };
        let made = one
            .create(&alice(), &alias("alice/Table"), new_seed(), Vec::new())
            .await
            .unwrap();
        one.set_view(&alice(), &view("alice/My-View", "SELECT 1"), false)
            .await
            .unwrap();
        let found = other.view(&alice(), &alias("ALICE/my-view")).await.unwrap().unwrap();
        assert_eq!(
            (found.alias.to_string().as_str(), found.query.as_str()),
            ("alice/My-View", "SELECT 1")
        );
        let again = view("alice/my-view", "SELECT 2");
        assert_eq!(
            kind(other.set_view(&alice(), &again, false).await),
            ErrorKind::AlreadyExists
        );
        other.set_view(&alice(), &again, true).await.unwrap();
        one.set_view(&admin(), &view("bob/a", "SELECT 3"), true).await.unwrap();

        for refused in [
            one.set_view(&alice(), &view("alice/TABLE", "SELECT 1"), true).await,
            one.create(&alice(), &alias("alice/MY-VIEW"), new_seed(), Vec::new())
                .await
                .map(drop),
        ] {
            assert_eq!(kind(refused), ErrorKind::AlreadyExists);
        }
        let foreign = view("bob/b", "SELECT 1");
        assert_eq!(
            kind(one.set_view(&alice(), &foreign, false).await),
            ErrorKind::PermissionDenied
        );
        assert_eq!(
            kind(one.remove_view(&alice(), &alias("bob/a")).await),
            ErrorKind::PermissionDenied
        );

        let queries = async |account: Option<&str>| {
            let account = account.map(|account| account.parse().unwrap());
            let views = other.views(&alice(), account.as_ref()).await.unwrap();
            views.into_iter().map(|view| view.query).collect::<Vec<_>>()
        };
        assert_eq!(queries(None).await, ["SELECT 2", "SELECT 3"]);
        assert_eq!(queries(Some("Alice")).await, ["SELECT 2"]);
        assert_eq!(other.accounts(&alice()).await.unwrap(), ["alice", "bob"]);
        // They are no datasets.
        assert_eq!(other.names(&alice(), None).await.unwrap().len(), 1);
        assert!(one.remove_view(&alice(), &alias("Alice/My-View")).await.unwrap());
        assert!(!one.remove_view(&alice(), &alias("Alice/My-View")).await.unwrap());
        assert!(other.view(&alice(), &alias("alice/my-view")).await.unwrap().is_none());
        StorageCatalog::delete(&one, &alice(), &RegisteredDataset::from(&made))
            .await
            .unwrap();
        one.set_view(&alice(), &view("alice/table", "SELECT 4"), false)
            .await
            .unwrap();
    }
}
