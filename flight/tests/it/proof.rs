//! Proofs over Arrow Flight: in the last message of a stream, and verified by an action.

use arrow_flight::Action;
use arrow_flight::decode::DecodedPayload;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use jetway_odf::proof::{DataFormat, Document, NodeIdentity, RowWriter};
use tonic::transport::Channel;

use crate::fixture::{Node, cities, push, ticket};

type Client = FlightSqlServiceClient<Channel>;

/// The answer of a query with its proof, put together from what came.
async fn proved(client: &mut Client, sql: &str) -> Document {
    client.set_header("jetway-proof", "true");
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let schema = info.clone().try_decode_schema().unwrap();
    let mut rows = RowWriter::new(DataFormat::JsonAoA, schema.into(), 0).unwrap();
    let (mut text, mut proof) = (Vec::new(), None);
    let mut messages = client.do_get(ticket(&info)).await.unwrap().into_inner();
    while let Some(message) = messages.try_next().await.unwrap() {
        assert!(proof.is_none(), "nothing comes after the proof");
        proof = Some(message.app_metadata()).filter(|metadata| !metadata.is_empty());
        if let DecodedPayload::RecordBatch(batch) = message.payload {
            rows.write(&batch, &mut text).unwrap();
        }
    }
    rows.finish(&mut text);
    let mut document = Document::parse(&proof.unwrap()).unwrap();
    document.output.as_mut().unwrap()["data"] = serde_json::from_slice(&text).unwrap();
    document
}

async fn verify(client: &mut Client, document: &Document) -> serde_json::Value {
    let action = Action::new("jetway.Verify", document.to_json().to_string());
    let answers = client.do_action(action).await.unwrap();
    let answers: Vec<_> = answers.try_collect().await.unwrap();
    serde_json::from_slice(&answers[0].body).unwrap()
}

#[tokio::test]
async fn the_last_message_of_a_stream_proves_the_rows_before_it() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "towns", vec![cities(&["Rome", "Oslo"]), cities(&["Bonn"])]).await;
    let document = proved(&mut alice, "SELECT city, people FROM towns ORDER BY city").await;
    assert_eq!(
        document.output.as_ref().unwrap()["data"],
        serde_json::json!([["Bonn", 0], ["Oslo", 1000], ["Rome", 0]])
    );
    assert_eq!(document.check(&[node.identity.did()]), Ok(()));
    push(&mut alice, "towns", vec![cities(&["Bern"])]).await;
    assert_eq!(verify(&mut alice, &document).await, serde_json::json!({"ok": true}));
    let empty = proved(&mut alice, "SELECT city FROM towns WHERE people < 0").await;
    assert_eq!(empty.output.as_ref().unwrap()["data"], serde_json::json!([]));
    assert_eq!(empty.check(&[]), Ok(()));
}

#[tokio::test]
async fn who_may_not_read_a_dataset_cannot_tell_whether_it_is_there() {
    let node = Node::start().await;
    let (mut alice, mut bob) = (node.client("alice").await, node.client("bob").await);
    push(&mut alice, "secrets", vec![cities(&["Rome"])]).await;
    let document = proved(&mut alice, "SELECT city FROM secrets").await;
    assert_eq!(verify(&mut alice, &document).await, serde_json::json!({"ok": true}));
    // The same question about another dataset, or another block of it, signed by bob.
    let forged = |change: fn(&mut serde_json::Value)| {
        let mut input = document.input.clone();
        change(&mut input["datasets"][0]);
        Document::sign(
            input,
            document.commitment.output_hash,
            &NodeIdentity::from_private_key(&[2; 32]),
        )
    };
    let nowhere = forged(|state| state["id"] = format!("did:odf:fed01{}", "07".repeat(32)).into());
    let no_block = forged(|state| state["blockHash"] = format!("f1620{}", "07".repeat(32)).into());
    let verdict = verify(&mut bob, &document).await;
    assert_eq!(
        verdict["error"]["kind"], "VerificationFailed::DatasetNotFound",
        "{verdict}"
    );
    assert_eq!(verify(&mut bob, &no_block).await, verdict);
    let nothing = verify(&mut bob, &nowhere).await;
    assert_eq!(nothing["error"]["message"], verdict["error"]["message"]);
    assert_eq!(nothing["error"]["kind"], verdict["error"]["kind"]);
    // Who may read it is told what is wrong.
    assert_eq!(
        verify(&mut alice, &no_block).await["error"]["kind"],
        "VerificationFailed::DatasetBlockNotFound"
    );
}

#[tokio::test]
async fn what_cannot_be_proved_is_refused() {
    let node = Node::start().await;
    push(&mut node.client("alice").await, "towns", vec![cities(&["Rome"])]).await;
    for (sql, header, says) in [
        ("SELECT random()", ("jetway-proof", "true"), "cannot be proved"),
        ("SELECT 1", ("jetway-proof", "perhaps"), "true or false"),
        (
            "SELECT city FROM towns",
            ("jetway-time-zone", "Europe/Berlin"),
            "options of the session",
        ),
    ] {
        let mut alice = node.client("alice").await;
        alice.set_header("jetway-proof", "true");
        alice.set_header(header.0, header.1);
        let asked = async {
            let info = alice.execute(sql.to_owned(), None).await?;
            alice.do_get(ticket(&info)).await?.try_collect::<Vec<_>>().await
        };
        let error = asked.await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn several_inputs_come_in_one_order() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let names: Vec<String> = (0..500).map(|number| format!("town {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for table in ["one", "two"] {
        push(&mut alice, table, vec![cities(&names)]).await;
    }
    for sql in [
        "SELECT city, people FROM one UNION ALL SELECT city, people + 1 FROM two UNION ALL SELECT 'x', 1",
        "SELECT city, count(*) FROM (SELECT city FROM one UNION ALL SELECT city FROM two) AS t GROUP BY city",
        "SELECT people % 7 AS k FROM one UNION SELECT people % 5 FROM two",
        "SELECT a.city, b.people FROM one AS a JOIN two AS b ON a.people = b.people",
        "SELECT people FROM one UNION ALL SELECT people FROM two ORDER BY people LIMIT 100",
    ] {
        let document = proved(&mut alice, sql).await;
        for _ in 0..5 {
            assert_eq!(
                verify(&mut alice, &document).await,
                serde_json::json!({"ok": true}),
                "{sql}"
            );
        }
    }
}
