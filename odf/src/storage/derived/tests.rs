use bytes::Bytes;
use futures::TryStreamExt;

use crate::error::{ErrorKind, Result};
use crate::identity::DatasetId;
use crate::storage::{DatasetStorage, Repository, RepositoryOptions};

async fn dataset(location: &str) -> Result<DatasetStorage> {
    let repository = Repository::open(location, &RepositoryOptions::default()).await?;
    repository.create_dataset(DatasetId::generate().0).await
}

async fn written_read_listed_and_removed(location: &str) -> Result<()> {
    let derived = dataset(location).await?.derived();
    assert_eq!(derived.read("keys/manifest", 100).await?, None);
    derived.write("keys/manifest", Bytes::from_static(b"one")).await?;
    derived.write("keys/manifest", Bytes::from_static(b"two")).await?;
    derived.write("merged/a", Bytes::from_static(b"three")).await?;
    assert_eq!(derived.read("keys/manifest", 100).await?.as_deref(), Some(&b"two"[..]));
    let too_large = derived.read("merged/a", 4).await.err().map(|error| error.kind());
    assert_eq!(too_large, Some(ErrorKind::Corrupt));

    let listed: Vec<_> = derived.list("keys").try_collect().await?;
    assert_eq!(listed.iter().map(|file| file.size).collect::<Vec<_>>(), [3]);
    derived.clear("keys").await?;
    derived.remove("keys/manifest").await?;
    assert_eq!(derived.read("keys/manifest", 100).await?, None);
    assert!(derived.read("merged/a", 100).await?.is_some());
    derived.clear("").await?;
    assert_eq!(derived.list("").try_collect::<Vec<_>>().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn derived_files_in_memory() -> Result<()> {
    written_read_listed_and_removed("memory:").await
}

#[tokio::test]
async fn derived_files_in_a_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    written_read_listed_and_removed(&folder.path().display().to_string()).await
}

#[tokio::test]
async fn a_removed_dataset_leaves_no_derived_files() -> Result<()> {
    let storage = dataset("memory:").await?;
    storage
        .derived()
        .write("keys/manifest", Bytes::from_static(b"one"))
        .await?;
    storage.repository().delete(*storage.id()).await?;
    assert_eq!(storage.derived().read("keys/manifest", 100).await?, None);
    Ok(())
}
