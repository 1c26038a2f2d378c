//! Whole datasets that others wrote: seven of the reference implementation, and one made from the format's description.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jetway_odf::codec::{EncodedBlock, ManifestVersion, encode_block};
use jetway_odf::hash::LogicalHasher;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{DataSlice, MetadataBlock, MetadataEvent};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde_json::Value;

/// The files of a dataset by their path below its root.
pub(crate) type Files = BTreeMap<String, Bytes>;

/// Reads the chain from the head, checks every hash and layout on the way; newest block first.
fn chain(files: &Files) -> Vec<EncodedBlock> {
    let mut blocks = Vec::new();
    let mut next = Some(
        std::str::from_utf8(&files["refs/head"])
            .unwrap()
            .parse::<Multihash>()
            .unwrap(),
    );
    while let Some(hash) = next {
        let bytes = files[&format!("blocks/{hash}")].clone();
        let block = EncodedBlock::from_bytes_with_hash(bytes, &hash).unwrap();
        assert_eq!(
            encode_block(&block.block, ManifestVersion::V3).unwrap(),
            block.bytes,
            "{hash}"
        );
        next = block.block.prev_block_hash;
        blocks.push(block);
    }
    blocks
}

fn slice(event: &MetadataEvent) -> Option<&DataSlice> {
    match event {
        MetadataEvent::AddData(event) => event.new_data.as_ref(),
        MetadataEvent::ExecuteTransform(event) => event.new_data.as_ref(),
        _ => None,
    }
}

/// Checks a slice's size and both hashes; gives the number of its rows.
fn verify_slice(files: &Files, slice: &DataSlice) -> u64 {
    let bytes = files[&format!("data/{}", slice.physical_hash)].clone();
    assert_eq!(bytes.len() as u64, slice.size);
    assert_eq!(Multihash::sha3_256(&bytes), slice.physical_hash);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let mut hasher = LogicalHasher::new(reader.schema()).unwrap();
    let mut rows = 0;
    for batch in reader.with_batch_size(10_000).build().unwrap() {
        let batch = batch.unwrap();
        rows += batch.num_rows() as u64;
        hasher.update(&batch).unwrap();
    }
    assert_eq!(hasher.finish().unwrap(), slice.logical_hash);
    rows
}

/// Checks all slices; gives the offset after the last row.
fn verify_slices(files: &Files, blocks: &[EncodedBlock]) -> u64 {
    let mut next_offset = 0;
    for slice in blocks.iter().rev().filter_map(|block| slice(&block.block.event)) {
        let interval = slice.offset_interval;
        assert_eq!(interval.start, next_offset);
        assert_eq!(verify_slice(files, slice), interval.end - interval.start + 1);
        next_offset = interval.end + 1;
    }
    next_offset
}

/// The schema that the chain declares is that of the slices, once layouts and optionality are set aside.
fn verify_schema(files: &Files, blocks: &[EncodedBlock]) {
    let event = blocks.iter().find_map(|block| match &block.block.event {
        MetadataEvent::SetDataSchema(event) => Some(event),
        _ => None,
    });
    let declared = event.unwrap().to_schema().unwrap().to_arrow().unwrap();
    let newest = blocks.iter().find_map(|block| slice(&block.block.event)).unwrap();
    let bytes = files[&format!("data/{}", newest.physical_hash)].clone();
    let actual = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let names = |schema: &arrow::datatypes::Schema| {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&declared), names(actual.schema()));
    for (declared, actual) in declared.fields().iter().zip(actual.schema().fields()) {
        let actual = actual.data_type();
        assert!(
            declared.data_type() == actual || actual.is_string() && declared.data_type().is_string(),
            "{declared} {actual}"
        );
    }
}

pub(crate) fn files_below(root: &Path) -> Files {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    // Beside the folders, a repository of ours has a lock file.
    let folders = entries.filter(|path| path.is_dir());
    let paths = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    paths
        .map(|path| (name(&path), Bytes::from(fs::read(&path).unwrap())))
        .collect()
}

/// One document of the reference tool's log.
#[derive(Debug, Deserialize)]
struct Manifest {
    kind: String,
    version: u32,
    content: MetadataBlock,
}

#[test]
fn datasets_of_the_reference_implementation() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut seen = 0;
    for entry in fs::read_dir(fixtures.join("datasets")).unwrap() {
        let root = entry.unwrap().path();
        let files = files_below(&root);
        let blocks = chain(&files);
        assert_eq!(
            blocks.len(),
            files.keys().filter(|name| name.starts_with("blocks/")).count()
        );
        let Some(MetadataEvent::Seed(seed)) = blocks.last().map(|block| &block.block.event) else {
            unreachable!()
        };
        assert_eq!(
            root.file_name().unwrap().to_str(),
            Some(seed.dataset_id.to_multibase().as_str())
        );
        assert!(verify_slices(&files, &blocks) > 0);
        verify_schema(&files, &blocks);

        let name = std::str::from_utf8(&files["info/alias"]).unwrap().trim();
        let log = fs::read_to_string(fixtures.join(format!("logs/{name}.yaml"))).unwrap();
        let documents =
            serde_yaml_ng::Deserializer::from_str(&log).map(|document| Manifest::deserialize(document).unwrap());
        let documents: Vec<Manifest> = documents.collect();
        assert!(
            documents
                .iter()
                .all(|manifest| manifest.kind == "MetadataBlock" && manifest.version == 3)
        );
        let logged: Vec<&MetadataBlock> = documents.iter().map(|manifest| &manifest.content).collect();
        let read: Vec<&MetadataBlock> = blocks.iter().map(|block| &block.block).collect();
        assert_eq!(read, logged, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn dataset_made_from_the_description() {
    let sample: Value = serde_json::from_str(include_str!("../vectors/sample-dataset.json")).unwrap();
    let files = sample["files"].as_object().unwrap();
    let files: Files = files
        .iter()
        .map(|(name, text)| (name.clone(), STANDARD.decode(text.as_str().unwrap()).unwrap().into()))
        .collect();
    let blocks = chain(&files);
    let described = sample["chain"].as_array().unwrap();
    assert_eq!(blocks.len(), described.len());
    for (block, described) in blocks.iter().rev().zip(described) {
        assert_eq!(described["hash"], block.hash.to_string());
        let json = serde_json::to_value(&block.block).unwrap();
        assert_eq!(described["event"], json["event"]["kind"]);
    }
    assert_eq!(verify_slices(&files, &blocks), 7);
    verify_schema(&files, &blocks);
}
