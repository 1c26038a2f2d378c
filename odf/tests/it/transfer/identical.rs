//! Datasets of another implementation, copied through all kinds of places, stay what they are to the byte.

use std::path::Path;

use futures::TryStreamExt;
use jetway_odf::identity::DatasetId;
use jetway_odf::storage::Repository;
use jetway_odf::transfer::{CopyOutcome, Place, Relation};

use super::server::FileServer;
use super::{folder, memory, moved, remote, run, strict};
use crate::datasets::{Files, files_below};
use crate::storage::site::Site;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/datasets")
}

/// What a copy must bring over: everything but side files.
fn content(root: &Path) -> Files {
    let mut files = files_below(root);
    files.retain(|name, _| !name.starts_with("info/"));
    files
}

async fn ids(repository: &Repository) -> Vec<DatasetId> {
    let ids: Vec<_> = repository.list().try_collect().await.unwrap();
    assert_eq!(ids.len(), 7);
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_folder_through_memory_and_http_to_a_folder() {
    let (original, middle) = (folder(&fixtures()).await, memory().await);
    let target = tempfile::tempdir().unwrap();
    let end = folder(target.path()).await;
    for id in ids(&original).await {
        let (first, second) = (Place::Stored(original.dataset(id)), Place::Stored(middle.dataset(id)));
        let outcome = run(&first, &second, &strict()).await.unwrap();
        let CopyOutcome::Copied {
            relation, from, stats, ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!((relation, from), (Relation::New, None));
        let files = content(&fixtures().join(id.to_multibase()));
        let objects = files.iter().filter(|(name, _)| name.starts_with("data/"));
        assert_eq!(stats.objects as usize, objects.clone().count());
        assert_eq!(
            stats.bytes as usize,
            objects.map(|(_, bytes)| bytes.len()).sum::<usize>()
        );

        let server = FileServer::of(&middle.dataset(id)).await;
        let source = remote(&server);
        assert_eq!(source.dataset_id().await.unwrap(), Some(id));
        let target = Place::Stored(end.dataset(id));
        let _stats = moved(&run(&source, &target, &strict()).await.unwrap());
        // No block was fetched twice, although the Seed was looked for first.
        let requests = server.state(|state| state.requests.clone());
        let blocks = requests.iter().filter(|path| path.starts_with("blocks/")).count();
        assert_eq!(blocks, files.keys().filter(|name| name.starts_with("blocks/")).count());
        assert!(matches!(
            run(&source, &target, &strict()).await.unwrap(),
            CopyOutcome::UpToDate { .. }
        ));
    }
    for id in ids(&end).await {
        let id = id.to_multibase();
        assert!(
            content(&fixtures().join(&id)) == content(&target.path().join(&id)),
            "{id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_folder_through_clouds_to_a_folder() {
    let original = folder(&fixtures()).await;
    let (s3, azure, gcs) = (
        Site::s3().open().await,
        Site::azure().open().await,
        Site::gcs().open().await,
    );
    let target = tempfile::tempdir().unwrap();
    let end = folder(target.path()).await;
    for id in ids(&original).await {
        let places = [&original, &s3, &azure, &gcs, &end].map(|repository| Place::Stored(repository.dataset(id)));
        for pair in places.windows(2) {
            let _stats = moved(&run(&pair[0], &pair[1], &strict()).await.unwrap());
        }
        let id = id.to_multibase();
        assert!(
            content(&fixtures().join(&id)) == content(&target.path().join(&id)),
            "{id}"
        );
    }
}
