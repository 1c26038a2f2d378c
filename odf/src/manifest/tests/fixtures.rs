//! The datasets of another implementation: made again from their manifests, and shown as it shows them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chain::load;
use crate::codec::EncodedBlock;
use crate::identity::DatasetId;
use crate::manifest::{Manifest, read_manifests, write_log_entry, write_manifests};
use crate::storage::{Repository, RepositoryOptions};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Name, identity and blocks, oldest first.
async fn datasets() -> Vec<(String, DatasetId, Vec<EncodedBlock>)> {
    let path = fixtures().join("datasets");
    let repository = Repository::open(path.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    let mut datasets = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let id = DatasetId::from_multibase(entry.unwrap().file_name().to_str().unwrap()).unwrap();
        let storage = repository.dataset(id);
        let head = storage.head().await.unwrap().unwrap();
        let mut blocks = Vec::new();
        load(&storage, head, |block| blocks.push(block.clone())).await.unwrap();
        datasets.push((storage.alias().await.unwrap().unwrap().to_string(), id, blocks));
    }
    assert_eq!(datasets.len(), 7);
    datasets
}

#[tokio::test]
async fn manifests_make_the_blocks_that_the_datasets_begin_with() {
    for (name, id, blocks) in datasets().await {
        let text = fs::read_to_string(fixtures().join(format!("manifests/{name}.yaml"))).unwrap();
        let manifests = read_manifests(&text).unwrap();
        let [Manifest::DatasetSnapshot(snapshot)] = manifests.as_slice() else {
            panic!("{name}")
        };
        assert_eq!(snapshot.name.to_string(), name);
        assert_eq!(
            read_manifests(&write_manifests(&manifests).unwrap()).unwrap(),
            manifests
        );

        let events = snapshot.metadata.len();
        let system_time = blocks[0].block.system_time;
        let (made, state) = snapshot.clone().into_chain(id, |_| None, system_time).unwrap();
        // To the byte: the hashes are those of the other implementation.
        assert_eq!(made, blocks[..=events], "{name}");
        assert_eq!(state.head(), blocks[events].hash);
    }
}

#[tokio::test]
async fn chains_are_shown_as_the_other_implementation_shows_them() {
    for (name, _, blocks) in datasets().await {
        let expected = fs::read_to_string(fixtures().join(format!("logs/{name}.yaml"))).unwrap();
        let shown: String = blocks
            .iter()
            .rev()
            .map(|block| write_log_entry(block).unwrap())
            .collect();
        // The other implementation leaves two empty lines after each document.
        let documents = |text: &str| -> Vec<String> {
            text.split("---\n")
                .skip(1)
                .map(|document| format!("{}\n", document.trim_end_matches('\n')))
                .collect()
        };
        assert_eq!(documents(&shown), documents(&expected), "{name}");

        let manifests = read_manifests(&shown).unwrap();
        assert_eq!(manifests.len(), blocks.len());
        for (manifest, block) in manifests.iter().zip(blocks.iter().rev()) {
            let Manifest::MetadataBlock(_, read) = manifest else {
                panic!("{manifest:?}")
            };
            assert_eq!(*read, block.block);
        }
    }
}
