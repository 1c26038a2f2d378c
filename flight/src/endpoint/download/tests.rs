use std::pin::pin;

use arrow_flight::FlightData;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

use super::Messages;

fn message(header: &'static [u8], metadata: &'static [u8], body: Vec<u8>) -> FlightData {
    FlightData {
        flight_descriptor: None,
        data_header: Bytes::from_static(header),
        app_metadata: Bytes::from_static(metadata),
        data_body: body.into(),
    }
}

/// What tonic's codec would put on the wire.
fn framed(messages: &[FlightData]) -> Bytes {
    let mut bytes = BytesMut::new();
    for message in messages {
        let encoded = message.encode_to_vec();
        bytes.extend_from_slice(&[0]);
        bytes.extend_from_slice(&u32::try_from(encoded.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    bytes.freeze()
}

async fn wire(messages: Vec<Result<FlightData, Status>>) -> (Bytes, http::HeaderMap) {
    let body = Messages {
        messages: stream::iter(messages),
        body: None,
        ended: false,
    };
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (collected.to_bytes(), trailers)
}

#[tokio::test]
async fn bytes_are_those_of_the_usual_codec() {
    let messages = vec![
        message(b"schema", b"", Vec::new()),
        message(b"rows", b"about", vec![7; 300]),
        message(b"", b"", Vec::new()),
        message(b"", b"", vec![1]),
        message(b"header", b"", vec![9; 3 << 20]),
    ];
    let (bytes, trailers) = wire(messages.iter().cloned().map(Ok).collect()).await;
    assert!(bytes == framed(&messages), "the wire bytes differ");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn an_error_on_the_way_is_the_last_word() {
    let first = message(b"rows", b"", vec![7; 10]);
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
    let sent = FlightData {
        data_body: body.clone(),
        ..FlightData::default()
    };
    let mut frames = pin!(Messages {
        messages: stream::iter([Ok(sent)]),
        body: None,
        ended: false,
    });
    let mut pieces = Vec::new();
    while let Some(frame) = frames.frame().await {
        pieces.extend(frame.unwrap().into_data().ok());
    }
    assert_eq!(pieces.last().unwrap().as_ptr(), body.as_ptr());
    assert!(frames.is_end_stream());
}
