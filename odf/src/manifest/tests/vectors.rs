//! `yaml-vectors.json`: every document, with whether it must be read and how it is written again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_yaml_ng::Mapping;

use crate::manifest::{document, read_manifests, write_manifests};
use crate::metadata::{DataSchema, FetchStep, ReadStep, SourceOrdering, Transform};

/// What becomes of a document.
enum Outcome {
    /// It is read and written as it was.
    Canonical,
    /// It is read and written as the document of the same test with this number.
    Same(usize),
    /// It is refused with a message that has this in it.
    Refused(&'static str),
}

use Outcome::{Canonical, Refused, Same};

/// Reads and writes a document.
type Rewrite = fn(&str) -> crate::Result<String>;

fn manifest(text: &str) -> crate::Result<String> {
    write_manifests(&read_manifests(text)?)
}

fn part<T: DeserializeOwned + Serialize>(text: &str) -> crate::Result<String> {
    let part: T = document::read(text)?[0].parse(&[])?;
    Ok(serde_yaml_ng::to_string(&part).unwrap())
}

#[rustfmt::skip]
fn expected(test: &str) -> (Rewrite, Vec<Outcome>) {
    let only_datasets = "only resources with the schema https://opendatafabric.org/schemas/dataset/v1alpha1/Dataset are known";
    match test {
        "serde_enum_tagging" => (part::<ReadStep>, vec![Canonical, Canonical, Same(0), Same(0), Refused("unknown kind `nDjson`; allowed: Csv, GeoJson, EsriShapefile, Parquet, Json, NdJson, NdGeoJson")]),
        "serde_string_enum_names" => (part::<SourceOrdering>, vec![Canonical, Same(0), Same(0), Refused("unknown value `bYeventtime`; allowed: ByEventTime, ByName")]),
        // Maps of secrets and of attributes, which hold anything.
        "test_serde_maps" => (part::<Mapping>, vec![Canonical, Canonical, Canonical, Canonical]),
        "serde_set_data_schema" | "serde_set_data_schema_legacy" | "serde_metadata_block" => (manifest, vec![Canonical]),
        "serde_set_data_schema_validation" => (manifest, vec![Canonical, Refused("unknown kind `Int`; allowed: Binary, Bool, Date, Decimal,"), Canonical]),
        "serde_dataset_snapshot_root" | "serde_dataset_snapshot_derivative" | "serde_dataset_snapshot_derivative_with_multi_tenant_ref" => (manifest, vec![Canonical]),
        "serde_metadata_block_obsolete_version" => (manifest, vec![Refused("the block has an obsolete version")]),
        "serde_fetch_step_files_glob" => (part::<FetchStep>, vec![Canonical]),
        "serde_transform" => (part::<Transform>, vec![Canonical]),
        "serde_enum_short_form" => (part::<DataSchema>, vec![Same(1), Canonical, Refused("unknown value `Invalid`; allowed: Binary, Bool,")]),
        "test_serde_resource_input_generics" => (manifest, vec![Refused(only_datasets)]),
        "test_serde_resource_input_short_forms" | "test_serde_resource_input_refs" | "test_serde_resource_canonical" => (manifest, vec![Refused(only_datasets), Refused(only_datasets)]),
        other => panic!("no expectation for {other}"),
    }
}

#[test]
fn every_document_is_read_or_refused_as_its_note_says() {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/yaml-vectors.json")).unwrap();
    let items = all["items"].as_array().unwrap();
    let mut seen = 0;
    for item in items {
        let test = item["test"].as_str().unwrap();
        let documents: Vec<&str> = item["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        let (rewrite, outcomes) = expected(test);
        assert_eq!(documents.len(), outcomes.len(), "{test}");
        for (text, outcome) in documents.iter().zip(outcomes) {
            let rewritten = rewrite(text);
            match outcome {
                Canonical => assert_eq!(rewritten.unwrap(), *text, "{test}"),
                Same(index) => assert_eq!(rewritten.unwrap(), documents[index], "{test}"),
                Refused(message) => {
                    let error = rewritten.unwrap_err().to_string();
                    assert!(error.starts_with(message), "{test}: {error}");
                    assert!(error.contains("document: 1, line: "), "{test}: {error}");
                }
            }
            seen += 1;
        }
    }
    assert_eq!((items.len(), seen), (18, 35));
}
