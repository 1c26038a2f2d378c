use std::pin::pin;

use arrow_flight::FlightData;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

use super::Messages;
use crate::encode::StreamMessage;

fn message(header: &'static [u8], body: &[&[u8]]) -> StreamMessage {
    StreamMessage {
        header: Bytes::from_static(header),
        body: body.iter().map(|piece| Bytes::copy_from_slice(piece)).collect(),
        ..StreamMessage::default()
    }
}

/// What tonic's codec would put on the wire.
fn framed(messages: &[StreamMessage]) -> Bytes {
    let mut bytes = BytesMut::new();
    for message in messages {
        let encoded = FlightData::from(message.clone()).encode_to_vec();
        bytes.extend_from_slice(&[0]);
        bytes.extend_from_slice(&u32::try_from(encoded.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    bytes.freeze()
}

async fn wire(messages: Vec<Result<StreamMessage, Status>>) -> (Bytes, http::HeaderMap) {
    let body = Messages {
        messages: stream::iter(messages),
        body: Vec::new().into_iter(),
        ended: false,
    };
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (collected.to_bytes(), trailers)
}

#[tokio::test]
async fn bytes_are_those_of_the_usual_codec() {
    let messages = vec![
        message(b"schema", &[]),
        message(b"rows", &[&[7; 300]]),
        message(b"", &[]),
        message(b"", &[&[1]]),
        message(b"header", &[&[9; 3 << 20], &[0; 8], &[8; 70_000]]),
    ];
    let (bytes, trailers) = wire(messages.iter().cloned().map(Ok).collect()).await;
    assert!(bytes == framed(&messages), "the wire bytes differ");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn an_error_on_the_way_is_the_last_word() {
    let first = message(b"rows", &[&[7; 10]]);
    let failed = Status::resource_exhausted("no memory; select fewer columns");
    let (bytes, trailers) = wire(vec![Ok(first.clone()), Err(failed)]).await;
    assert_eq!(bytes, framed(&[first]));
    assert_eq!(trailers.get("grpc-status").unwrap(), "8");
    let text = trailers.get("grpc-message").unwrap().to_str().unwrap();
    assert!(text.contains("no%20memory"), "{text}");
}

#[tokio::test]
async fn the_body_is_shared_not_copied() {
    let body = Bytes::from(vec![5; 1 << 20]);
    let sent = StreamMessage {
        body: vec![body.clone()],
        ..StreamMessage::default()
    };
    let mut frames = pin!(Messages {
        messages: stream::iter([Ok(sent)]),
        body: Vec::new().into_iter(),
        ended: false,
    });
    let mut pieces = Vec::new();
    while let Some(frame) = frames.frame().await {
        pieces.extend(frame.unwrap().into_data().ok());
    }
    assert_eq!(pieces.last().unwrap().as_ptr(), body.as_ptr());
    assert!(frames.is_end_stream());
}
