//! DoGet without a copy: what tonic's codec would copy into a buffer of its own goes to the connection as it is.
//!
//! A gRPC message is five bytes of frame, then the protobuf message. In a `FlightData` nearly all bytes are its last field, the body, so each message
//! becomes two pieces: everything up to the length of the body, and the body itself, shared with whoever encoded the rows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow_flight::flight_service_server::FlightService;
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
    let (metadata, messages, extensions) = gateway.do_get(request).await?.into_parts();

    let mut response = Response::new(Body::new(Messages {
        messages,
        body: None,
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
    /// The second piece of a message whose first one is out.
    body: Option<Bytes>,
    ended: bool,
}

impl<S> HttpBody for Messages<S>
where
    S: Stream<Item = Result<FlightData, Status>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(body) = self.body.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.messages).poll_next(context));
        let encoded = next.map(|message| message.and_then(head));
        Poll::Ready(Some(match encoded {
            Some(Ok((head, body))) => {
                self.body = Some(body).filter(|body| !body.is_empty());
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
fn head(message: FlightData) -> Result<(Bytes, Bytes), Status> {
    let FlightData {
        flight_descriptor,
        data_header,
        app_metadata,
        data_body,
    } = message;
    if flight_descriptor.is_some() {
        return Err(Status::internal("an answer to DoGet carries no descriptor"));
    }
    let fields = [(DATA_HEADER, &data_header), (APP_METADATA, &app_metadata)];
    let length = |tag: u32, bytes: &Bytes| match bytes.len() {
        0 => 0,
        length => key_len(tag) + encoded_len_varint(length as u64) + length,
    };
    let total = length(DATA_BODY, &data_body) + fields.iter().map(|(tag, bytes)| length(*tag, bytes)).sum::<usize>();
    let framed =
        u32::try_from(total).map_err(|_| Status::resource_exhausted("a message of more than 4 GiB cannot be sent"))?;

    let mut head = BytesMut::with_capacity(5 + total - data_body.len());
    head.put_u8(0);
    head.put_u32(framed);
    for (tag, bytes) in fields {
        start_field(tag, bytes, &mut head);
        head.put_slice(bytes);
    }
    start_field(DATA_BODY, &data_body, &mut head);
    Ok((head.freeze(), data_body))
}

/// The key and length of a field that has bytes.
fn start_field(tag: u32, bytes: &Bytes, buffer: &mut BytesMut) {
    if !bytes.is_empty() {
        encode_key(tag, WireType::LengthDelimited, buffer);
        encode_varint(bytes.len() as u64, buffer);
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
