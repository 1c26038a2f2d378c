//! Changes in datasets that nobody should make.

use std::path::PathBuf;

use jetway_odf::codec::{EncodedBlock, ManifestVersion, decode_block};
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{AddData, MetadataBlock, MetadataEvent};

use super::Copied;

/// A dataset's chain, oldest block first, that can be written again with hashes that are right.
pub(super) struct Chain {
    folder: PathBuf,
    pub(super) blocks: Vec<MetadataBlock>,
}

impl Chain {
    pub(super) fn read(copied: &Copied, name: &str) -> Self {
        let folder = copied.folder(name);
        let mut blocks = Vec::new();
        let head = std::fs::read_to_string(folder.join("refs/head")).unwrap();
        let mut next = Some(head.parse::<Multihash>().unwrap());
        while let Some(hash) = next {
            let bytes = std::fs::read(folder.join("blocks").join(hash.to_string())).unwrap();
            let block = decode_block(&bytes).unwrap();
            next = block.prev_block_hash;
            blocks.push(block);
        }
        blocks.reverse();
        Self { folder, blocks }
    }

    /// The AddData of a block.
    pub(super) fn data(&mut self, index: usize) -> &mut AddData {
        match &mut self.blocks[index].event {
            MetadataEvent::AddData(data) => data,
            other => panic!("{} is no AddData", other.kind()),
        }
    }

    /// Puts a checkpoint into the AddData of a block, and carries it on in the blocks after it.
    pub(super) fn add_checkpoint(&mut self, index: usize, bytes: &[u8]) -> PathBuf {
        let checkpoint = jetway_odf::metadata::Checkpoint {
            physical_hash: Multihash::sha3_256(bytes),
            size: bytes.len() as u64,
        };
        for later in index..self.blocks.len() {
            let data = self.data(later);
            data.prev_checkpoint = (later > index).then_some(checkpoint.physical_hash);
            data.new_checkpoint = Some(checkpoint.clone());
        }
        let folder = self.folder.join("checkpoints");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(checkpoint.physical_hash.to_string());
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes all blocks, each naming the one before it, and the head.
    pub(super) fn write(self) {
        let mut prev_block_hash = None;
        for block in self.blocks {
            let block = MetadataBlock {
                prev_block_hash,
                ..block
            };
            let encoded = EncodedBlock::encode(block, ManifestVersion::V3).unwrap();
            let path = self.folder.join("blocks").join(encoded.hash.to_string());
            std::fs::write(path, &encoded.bytes).unwrap();
            prev_block_hash = Some(encoded.hash);
        }
        let head = prev_block_hash.unwrap().to_string();
        std::fs::write(self.folder.join("refs/head"), head).unwrap();
    }
}
