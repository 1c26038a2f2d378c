//! From snapshots to blocks.

use chrono::DateTime;

use crate::ErrorKind;
use crate::identity::DatasetId;
use crate::manifest::{DatasetSnapshot, read_manifests};
use crate::metadata::{MetadataEvent, SqlQueryStep, Transform, TransformInput};

fn snapshot(kind: &str, metadata: &str) -> DatasetSnapshot {
    let text =
        format!("kind: DatasetSnapshot\nversion: 1\ncontent: {{name: x, kind: {kind}, metadata: [{metadata}]}}\n");
    read_manifests(&text).unwrap()[0].as_snapshot().unwrap().clone()
}

const TRANSFORM: &str = "{kind: SetTransform, inputs: [{datasetRef: alice/a}, \
    {datasetRef: 'did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4', alias: b}], \
    transform: {kind: Sql, engine: datafusion, query: select 1}}";

#[test]
fn inputs_are_resolved_and_keep_the_names_that_queries_know() {
    let (id, a) = (DatasetId::seeded(b"x"), DatasetId::seeded(b"a"));
    let snapshot = snapshot("Derivative", TRANSFORM);
    assert_eq!(
        snapshot.input_refs().collect::<Vec<_>>(),
        [
            "alice/a",
            "did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4"
        ]
    );
    let resolve = |input: &str| (input == "alice/a").then_some(a);
    let (blocks, state) = snapshot.into_chain(id, resolve, DateTime::UNIX_EPOCH).unwrap();
    assert_eq!((blocks.len(), state.id(), state.sequence_number()), (2, id, 1));
    let MetadataEvent::SetTransform(event) = &blocks[1].block.event else {
        panic!()
    };
    let input = |id: DatasetId, alias: &str| TransformInput {
        dataset_ref: id.to_string(),
        alias: Some(alias.to_owned()),
    };
    assert_eq!(
        event.inputs,
        [input(a, "alice/a"), input(DatasetId::seeded(b"input1"), "b")]
    );
    let Transform::Sql(sql) = &event.transform;
    assert_eq!(sql.query, None);
    assert_eq!(
        sql.queries,
        Some(vec![SqlQueryStep {
            alias: None,
            query: "select 1".to_owned()
        }])
    );
}

#[test]
fn errors_name_the_event_and_the_dataset() {
    for (kind, metadata, expected_kind, expected) in [
        (
            "Derivative",
            TRANSFORM,
            ErrorKind::NotFound,
            "an input of the transform does not exist; create it first or correct its name (input: alice/a, event: 0, dataset: x)",
        ),
        (
            "Root",
            TRANSFORM,
            ErrorKind::InvalidEvent { rule: "K1" },
            "SetTransform belongs to a dataset of kind Derivative, but this one is Root (rule: K1, event: 0, dataset: x)",
        ),
        (
            "Root",
            "SetVocab, {kind: AddData, prevOffset: 1}",
            ErrorKind::InvalidEvent { rule: "S9" },
            "AddData cannot define a dataset: push the data once the dataset is there (rule: S9, event: 1, dataset: x)",
        ),
        (
            "Root",
            "{kind: SetDataSchema, schema: {fields: []}}",
            ErrorKind::InvalidEvent { rule: "S4" },
            "the schema must have the system column \"offset\" (an Int64), but has none (rule: S4, event: 0, dataset: x)",
        ),
    ] {
        let created = snapshot(kind, metadata).into_chain(DatasetId::seeded(b"x"), |_| None, DateTime::UNIX_EPOCH);
        let error = created.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (expected_kind, expected));
    }
}
