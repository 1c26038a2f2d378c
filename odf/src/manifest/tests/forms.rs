//! The ways to write the same, and the one way in which it is written.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::codec::ManifestVersion;
use crate::identity::DatasetId;
use crate::manifest::{DatasetSnapshot, Manifest, read_manifests, write_manifests};
use crate::metadata::{
    AttachmentEmbedded, Attachments, AttachmentsEmbedded, DatasetKind, MetadataBlock, MetadataEvent, Seed,
    SetAttachments, SetInfo, SetVocab,
};

#[test]
fn short_forms_and_spellings_are_written_in_full() {
    let text = "\
kind: datasetsnapshot
version: 1
content:
  name: alice/rates
  kind: root
  metadata:
  - setVocab
  - kind: addpushsource
    sourceName: default
    read: csv
    merge: append
  - kind: setDataSchema
    schema:
      fields:
      - {name: a, type: timestamp}
---
kind: metadataEvent
version: 1
content: setInfo
";
    let canonical = "\
kind: DatasetSnapshot
version: 1
content:
  name: alice/rates
  kind: Root
  metadata:
  - kind: SetVocab
  - kind: AddPushSource
    sourceName: default
    read:
      kind: Csv
    merge:
      kind: Append
  - kind: SetDataSchema
    schema:
      fields:
      - name: a
        type:
          kind: Timestamp
---
kind: MetadataEvent
version: 1
content:
  kind: SetInfo
";
    let manifests = read_manifests(text).unwrap();
    assert_eq!(write_manifests(&manifests).unwrap(), canonical);
    assert_eq!(read_manifests(canonical).unwrap(), manifests);
}

#[test]
fn both_forms_of_schema_are_read() {
    for schema in ["schema: {fields: []}", "rawArrowSchema: AAAA"] {
        let text = format!("kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetDataSchema\n  {schema}\n");
        assert!(read_manifests(&text).is_ok(), "{schema}");
    }
}

#[test]
fn times_have_as_many_digits_as_they_need() {
    for (nanoseconds, shown) in [
        (0, "2024-05-06T07:08:09Z"),
        (120_000_000, "2024-05-06T07:08:09.120Z"),
        (120_000, "2024-05-06T07:08:09.000120Z"),
        (1, "2024-05-06T07:08:09.000000001Z"),
    ] {
        let system_time: DateTime<Utc> = "2024-05-06T09:08:09+02:00".parse().unwrap();
        let block = MetadataBlock {
            system_time: system_time + TimeDelta::nanoseconds(nanoseconds),
            prev_block_hash: None,
            sequence_number: 0,
            event: MetadataEvent::Seed(Seed {
                dataset_id: DatasetId::seeded(b"x"),
                dataset_kind: DatasetKind::Root,
            }),
        };
        let manifest = [Manifest::MetadataBlock(ManifestVersion::V2, block)];
        let text = write_manifests(&manifest).unwrap();
        assert!(
            text.starts_with(&format!(
                "kind: MetadataBlock\nversion: 2\ncontent:\n  systemTime: {shown}\n"
            )),
            "{text}"
        );
        assert_eq!(read_manifests(&text).unwrap(), manifest);
    }
}

const RESOURCE: &str = "\
$schema: https://opendatafabric.org/schemas/dataset/v1alpha1/Dataset
headers:
  name: rates
  account:
    name: alice
spec:
  kind: Root
  metadata:
  - kind: SetInfo
    description: x
  did: did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4
";

#[test]
fn resources_are_snapshots_in_other_words() {
    let manifests = read_manifests(RESOURCE).unwrap();
    let [Manifest::Dataset(resource)] = manifests.as_slice() else {
        panic!("{manifests:?}")
    };
    assert_eq!(resource.id, Some(DatasetId::seeded(b"input1")));
    let snapshot = DatasetSnapshot {
        name: "alice/rates".parse().unwrap(),
        kind: DatasetKind::Root,
        metadata: vec![MetadataEvent::SetInfo(SetInfo {
            description: Some("x".to_owned()),
            keywords: None,
        })],
    };
    assert_eq!(resource.snapshot, snapshot);
    assert_eq!(manifests[0].as_snapshot(), Some(&snapshot));
    assert_eq!(write_manifests(&manifests).unwrap(), RESOURCE);

    // What the server adds is left out; an account may be its name alone, or absent.
    let full = RESOURCE.replace("  account:\n    name: alice\n", "  account: alice\n  id: a-1\n  labels: {a: {b: c}}\n  annotations: {}\n  generation: 3\n  createdAt: 2026-01-01T00:00:00Z\n  updatedAt: 2026-01-01T00:00:00Z\n")
        + "status:\n  phase: Ready\n  conditions: {}\n";
    assert_eq!(read_manifests(&full).unwrap(), manifests);
    let bare = RESOURCE.replace("  account:\n    name: alice\n", "");
    assert_eq!(
        read_manifests(&bare).unwrap()[0]
            .as_snapshot()
            .unwrap()
            .name
            .to_string(),
        "rates"
    );
}

#[test]
fn resources_are_refused_where_they_are_wrong() {
    for (from, to, expected) in [
        (
            "dataset/v1alpha1",
            "dataset/v1",
            "only resources with the schema https://opendatafabric.org/schemas/dataset/v1alpha1/Dataset are known, but this is https://opendatafabric.org/schemas/dataset/v1/Dataset (document: 1, line: 1, column: 10, path: $schema)",
        ),
        (
            "    name: alice",
            "    nam: alice",
            "unknown property `nam`; allowed: name, id, did (document: 1, line: 5, column: 5, path: headers.account.nam)",
        ),
        (
            "  name: rates\n",
            "  name: rates\n  deletedAt: 2026-01-01T00:00:00Z\n",
            "the dataset is marked as deleted; leave `deletedAt` out to create it (document: 1, line: 4, column: 14, path: headers.deletedAt)",
        ),
        (
            "  did:",
            "  volume: main\n  did:",
            "a dataset is stored in the node's repository; leave `volume` out (document: 1, line: 11, column: 11, path: spec.volume)",
        ),
        (
            "    description: x",
            "    describe: x",
            "unknown property `describe`; allowed: description, keywords (document: 1, line: 10, column: 5, path: spec.metadata[0].describe)",
        ),
        (
            "spec:",
            "specs:",
            "unknown property `specs`; allowed: $schema, headers, spec, status (document: 1, line: 6, column: 1, path: specs)",
        ),
    ] {
        let error = read_manifests(&RESOURCE.replace(from, to)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

proptest! {
    #[test]
    fn any_text_survives(description in any::<String>(), path in "\\PC*", content in "(?s)[ \\n\\t:#'\"a-c|>-]{0,40}") {
        let items = vec![AttachmentEmbedded { path, content }];
        let snapshot = DatasetSnapshot {
            name: "x".parse().unwrap(),
            kind: DatasetKind::Root,
            metadata: vec![
                MetadataEvent::SetInfo(SetInfo { description: Some(description.clone()), keywords: Some(vec![description]) }),
                MetadataEvent::SetAttachments(SetAttachments { attachments: Attachments::Embedded(AttachmentsEmbedded { items }) }),
                MetadataEvent::SetVocab(SetVocab::default()),
            ],
        };
        let manifests = [Manifest::DatasetSnapshot(snapshot)];
        prop_assert_eq!(read_manifests(&write_manifests(&manifests).unwrap()).unwrap(), manifests);
    }

    #[test]
    fn no_text_panics(text in "(?s)[ \\n\\t:#'\"a-c|>{}\\[\\],*&!-]{0,60}") {
        let _ = read_manifests(&text);
        let _ = read_manifests(&format!("kind: MetadataEvent\nversion: 1\ncontent: {text}"));
    }
}
