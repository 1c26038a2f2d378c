//! The published example of a signed answer, reproduced byte by byte.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};

use crate::proof::{
    DataFormat, Document, NodeIdentity, OutputHasher, QueryInput, RowWriter, SchemaFormat, schema_json,
};

fn rows() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("offset", DataType::Int64, false),
        Field::new("city", DataType::Utf8, false),
        Field::new("population", DataType::UInt64, false),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int64Array::from(vec![1, 0])),
            Arc::new(StringArray::from(vec!["B", "A"])),
            Arc::new(UInt64Array::from(vec![200, 100])),
        ],
    )
    .unwrap()
}

fn input(include: &[&str], schema_format: Option<&str>) -> Value {
    let mut input = json!({
        "query": "select offset, city, population from \"kamu-server/population\" order by offset desc",
        "include": include,
        "datasets": [{
            "id": "did:odf:fed01df230b49615d175307d580c33d6fda61fc7b9aec91df0f5c1a5ebe3b8cbfee02",
            "alias": "kamu-server/population",
            "blockHash": "f1620efdd11877825ad5f30fce4fb64a130e3d6273ea8fc81d72507c59081cc1d430e",
        }],
    });
    if let Some(format) = schema_format {
        input["schemaFormat"] = json!(format);
    }
    let input: QueryInput = serde_json::from_value(input).unwrap();
    serde_json::to_value(input).unwrap()
}

/// Signs the answer, its rows written in as many pieces as there are rows.
fn sign(input: Value, schema: bool) -> (Document, Value) {
    let batch = rows();
    let schema = schema.then(|| schema_json(&batch.schema(), SchemaFormat::ArrowJson).unwrap());
    let format = DataFormat::JsonAoS;
    let mut hasher = OutputHasher::default();
    let mut writer = RowWriter::new(format, batch.schema(), 0).unwrap();
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        let mut piece = Vec::new();
        writer.write(&batch.slice(row, 1), &mut piece).unwrap();
        hasher.update(&piece);
        text.append(&mut piece);
    }
    let mut piece = Vec::new();
    writer.finish(&mut piece);
    hasher.update(&piece);
    text.append(&mut piece);
    let identity = NodeIdentity::from_private_key(&[123; 32]);
    let mut output = json!({"dataFormat": "JsonAoS"});
    if let Some(schema) = schema {
        output["schema"] = schema;
        output["schemaFormat"] = json!("ArrowJson");
    }
    let document = Document::sign(input, hasher.finish(output.as_object().unwrap()), &identity);
    output["data"] = serde_json::from_slice(&text).unwrap();
    (document, output)
}

#[test]
fn an_answer_with_its_schema_has_the_published_hashes_and_signature() {
    let (document, output) = sign(input(&["schema", "proof", "Input"], Some("arrow-json")), true);
    assert_eq!(
        document.to_json(),
        json!({
            "input": input(&["Input", "Proof", "Schema"], Some("ArrowJson")),
            "subQueries": [],
            "commitment": {
                "inputHash": "f16207ec84999fec29898a304aab4c4990bff33e455a409c0c2958894ecb87717dc6a",
                "outputHash": "f16208d66e08ce876ba35ce00ea56f02faf83dbc086f877c443e3d493427ccad133f1",
                "subQueriesHash": "f1620ca4510738395af1429224dd785675309c344b2b549632e20275c69b15ed1d210",
            },
            "proof": {
                "type": "Ed25519Signature2020",
                "verificationMethod": "did:key:z6Mko2nqhQ9wYSTS5Giab2j1aHzGnxHimqwmFeEVY8aNsVnN",
                "proofValue": "uu5cFSKBj004FnB-e4dRajWz5q6loJDMMH-2_WwilhJarqBnwm0urFzZKVTk5OYzUMz75sukMjb5u8A--aR5tDg",
            },
        })
    );
    let complete = Document {
        output: Some(output),
        ..document
    };
    assert_eq!(complete.check(&[complete.proof.verification_method]), Ok(()));
    let read = Document::parse(complete.to_json().to_string().as_bytes()).unwrap();
    assert_eq!(read, complete);
}

#[test]
fn an_answer_without_its_schema_has_the_published_hash() {
    let (document, output) = sign(input(&["Input", "Proof"], None), false);
    assert_eq!(
        document.commitment.output_hash.to_string(),
        "f1620ff7f5beaf16900218a3ac4aae82cdccf764816986c7c739c716cf7dc03112a2c"
    );
    assert_eq!(
        Document {
            output: Some(output),
            ..document
        }
        .check(&[]),
        Ok(())
    );
}
