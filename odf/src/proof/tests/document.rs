use serde_json::{Value, json};

use super::super::document::hash;
use crate::identity::Multihash;
use crate::proof::{DidKey, Document, Fault, NodeIdentity, QueryInput};

fn identity(seed: u8) -> NodeIdentity {
    NodeIdentity::from_private_key(&[seed; 32])
}

fn signed() -> Document {
    let output = json!({"data": [[1, "a"]], "dataFormat": "JsonAoA"});
    let input = serde_json::to_value(QueryInput::new("SELECT 1")).unwrap();
    let document = Document::sign(input, hash(&output), &identity(1));
    Document {
        output: Some(output),
        ..document
    }
}

#[test]
fn every_change_is_told_by_its_own_fault() {
    let other = identity(2).did();
    let cases: [(&str, fn(&mut Document), Fault); 6] = [
        (
            "answer",
            |it| it.output = Some(json!({"data": [[2, "a"]], "dataFormat": "JsonAoA"})),
            Fault::OutputHash,
        ),
        ("input", |it| it.input["limit"] = json!(1), Fault::InputHash),
        ("sub-queries", |it| it.sub_queries = json!([1]), Fault::SubQueriesHash),
        (
            "commitment",
            |it| {
                it.output = None;
                it.commitment.output_hash = Multihash::sha3_256(b"");
            },
            Fault::BadSignature,
        ),
        (
            "signature",
            |it| {
                let text = it.proof.proof_value.to_string();
                let last = if text.ends_with("AA") { "BA" } else { "AA" };
                it.proof.proof_value = format!("{}{last}", &text[..text.len() - 2]).parse().unwrap();
            },
            Fault::BadSignature,
        ),
        (
            "signer",
            |it| it.proof.verification_method = identity(2).did(),
            Fault::BadSignature,
        ),
    ];
    for (what, change, fault) in cases {
        let mut document = signed();
        assert_eq!(document.check(&[]), Ok(()));
        change(&mut document);
        assert_eq!(document.check(&[]), Err(fault), "{what}");
    }
    let document = signed();
    let fault = document.check(&[other]).unwrap_err();
    assert_eq!(fault.kind(), "InvalidRequest::UnknownSigner");
    assert!(
        fault.to_string().contains(&identity(1).did().to_string()) && fault.to_string().contains(&other.to_string())
    );
}

#[test]
fn faults_are_written_with_what_they_are_about() {
    let hash = Multihash::sha3_256(b"");
    let fault = Fault::OutputMismatch {
        expected: hash,
        actual: hash,
    };
    assert_eq!(
        serde_json::to_value(&fault).unwrap(),
        json!({
            "kind": "VerificationFailed::OutputMismatch",
            "message": fault.to_string(),
            "expected_hash": hash,
            "actual_hash": hash,
        })
    );
}

#[test]
fn what_is_no_document_is_refused() {
    let whole = signed().to_json();
    assert!(Document::parse(whole.to_string().as_bytes()).is_ok());
    let changes: [fn(&mut Value); 6] = [
        |it| *it = json!([]),
        |it| it["extra"] = json!(1),
        |it| it["commitment"]["more"] = json!(1),
        |it| it["proof"]["type"] = json!("EcdsaSecp256k1Signature2019"),
        |it| it["proof"]["proofValue"] = json!("zAA"),
        |it| it["proof"]["verificationMethod"] = json!("did:web:example.org"),
    ];
    for change in changes {
        let mut document = whole.clone();
        change(&mut document);
        assert!(Document::parse(document.to_string().as_bytes()).is_err(), "{document}");
    }
}

#[test]
fn the_key_of_a_signer_is_never_shown() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    for text in [key.to_owned(), format!("u{key}\n")] {
        let identity = NodeIdentity::parse(&text.into()).unwrap();
        assert!(!format!("{identity:?}").contains(key));
        assert_eq!(
            identity.did().to_string().parse::<DidKey>().unwrap(),
            super::document::identity(1).did()
        );
    }
    let error = NodeIdentity::parse(&"c2VjcmV0".to_owned().into()).unwrap_err();
    assert!(error.to_string().contains("32 random bytes") && !error.to_string().contains("c2VjcmV0"));
}

#[test]
fn requests_are_read_as_people_write_them() {
    let input: QueryInput =
        serde_json::from_value(json!({"query": "q", "dataFormat": "json-aoa", "include": ["proof", "SCHEMA"]}))
            .unwrap();
    let written = serde_json::to_value(input.completed()).unwrap();
    assert_eq!(
        written,
        json!({
            "query": "q", "queryDialect": "SqlDataFusion", "dataFormat": "JsonAoA",
            "include": ["Input", "Proof", "Schema"], "schemaFormat": "ArrowJson", "skip": 0, "limit": 100,
        })
    );
    for wrong in [
        json!({"query": "q", "dataformat": 1}),
        json!({"query": "q", "dataFormat": "csv"}),
        json!({}),
    ] {
        assert!(serde_json::from_value::<QueryInput>(wrong).is_err());
    }
}
