//! DoGet without a copy: what tonic's codec would copy into a buffer of its own goes to the connection as it is.
//!
//! A gRPC message is five bytes of frame, then the protobuf message. In a `FlightData` nearly all bytes are its last field, the body, so each message
//! becomes everything up to the length of the body, and then the pieces of the body, which are shared with the arrays of the rows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow_flight::{FlightData, Ticket};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body as HttpBody, Frame};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::body::Body;
use tonic::codec::{Codec, Streaming};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::FlightGateway;
use crate::encode::StreamMessage;

/// The method's path.
pub(super) const PATH: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// Field numbers of `FlightData`, see `Flight.proto`.
const DATA_HEADER: u32 = 2;
const APP_METADATA: u32 = 3;
const DATA_BODY: u32 = 1000;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_CONTENT: HeaderValue = HeaderValue::from_static("application/grpc");

/// Answers one DoGet.
pub(super) async fn answer(gateway: FlightGateway, request: Request<Body>, max_request: usize) -> Response<Body> {
    match open(&gateway, request, max_request).await {
        Ok(response) => response,
        Err(status) => status.into_http(),
    }
}

async fn open(gateway: &FlightGateway, request: Request<Body>, max_request: usize) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let decoder = ProstCodec::<FlightData, Ticket>::default().decoder();
    let mut tickets = Streaming::new_request(decoder, body, None, Some(max_request));
    let ticket = tickets
        .try_next()
        .await?
        .ok_or_else(|| Status::invalid_argument("DoGet came without a ticket; send one that GetFlightInfo returned"))?;
    let metadata = MetadataMap::from_headers(parts.headers);
    let request = tonic::Request::from_parts(metadata, parts.extensions, ticket);
    let (metadata, messages, extensions) = gateway.messages(request).await?.into_parts();

    let mut response = Response::new(Body::new(Messages {
        messages,
        body: Vec::new().into_iter(),
        ended: false,
    }));
    *response.headers_mut() = metadata.into_headers();
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC_CONTENT);
    *response.extensions_mut() = extensions;
    Ok(response)
}

/// The body of the answer: messages in pieces, then the status in trailers.
struct Messages<S> {
    messages: S,
    /// The pieces of the message whose head is out.
    body: std::vec::IntoIter<Bytes>,
    ended: bool,
}

impl<S> HttpBody for Messages<S>
where
    S: Stream<Item = Result<StreamMessage, Status>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(piece) = self.body.next() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.messages).poll_next(context));
        let encoded = next.map(|message| message.and_then(head));
        Poll::Ready(Some(match encoded {
            Some(Ok((head, body))) => {
                self.body = body.into_iter();
                Ok(Frame::data(head))
            }
            Some(Err(status)) => {
                self.ended = true;
                trailers(&status).map(Frame::trailers)
            }
            None => {
                self.ended = true;
                trailers(&Status::new(Code::Ok, "")).map(Frame::trailers)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// All bytes of a message before those of its body, and its body.
fn head(message: StreamMessage) -> Result<(Bytes, Vec<Bytes>), Status> {
    let body_len = message.body_len();
    let StreamMessage { header, body, metadata } = message;
    let length = |tag: u32, length: usize| match length {
        0 => 0,
        length => key_len(tag) + encoded_len_varint(length as u64) + length,
    };
    let total = length(DATA_HEADER, header.len()) + length(APP_METADATA, metadata.len()) + length(DATA_BODY, body_len);
    let framed =
        u32::try_from(total).map_err(|_| Status::resource_exhausted("a message of more than 4 GiB cannot be sent"))?;

    let mut head = BytesMut::with_capacity(5 + total - body_len);
    head.put_u8(0);
    head.put_u32(framed);
    start_field(DATA_HEADER, header.len(), &mut head);
    head.put_slice(&header);
    start_field(APP_METADATA, metadata.len(), &mut head);
    head.put_slice(&metadata);
    start_field(DATA_BODY, body_len, &mut head);
    Ok((head.freeze(), body))
}

/// The key and length of a field that has bytes.
fn start_field(tag: u32, length: usize, buffer: &mut BytesMut) {
    if length > 0 {
        encode_key(tag, WireType::LengthDelimited, buffer);
        encode_varint(length as u64, buffer);
    }
}

/// How a stream ended.
fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    if status.code() != Code::Ok {
        status.add_header(&mut trailers)?;
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests;
