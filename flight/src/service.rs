//! The gRPC methods. Each one only says which function answers it.

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::call::{Answers, Record, serve};
use crate::encode::StreamMessage;
use crate::{FlightGateway, auth, command};

type Answer<T> = Result<Response<T>, Status>;

impl FlightGateway {
    /// DoGet, before its messages are made into those of gRPC.
    pub(crate) async fn messages(&self, request: Request<Ticket>) -> Answer<Answers<StreamMessage>> {
        serve(&self.shared, "DoGet", request, command::get).await
    }
}

#[async_trait]
impl FlightService for FlightGateway {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Answer<Self::HandshakeStream> {
        let record = Record::new("Handshake");
        let (metadata, _, requests) = request.into_parts();
        let welcome = auth::handshake(self.shared.authenticator.as_ref(), &metadata, requests.boxed())
            .instrument(record.span())
            .await;
        let welcome = record.finish(welcome)?;
        let bearer = welcome.bearer.clone();
        let mut response = Response::new(welcome.into_stream());
        response.metadata_mut().insert(auth::header_name(), bearer);
        Ok(response)
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        serve(&self.shared, "GetFlightInfo", request, command::flight_info).await
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        serve(&self.shared, "GetSchema", request, command::schema).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let response = self.messages(request).await?;
        Ok(response.map(|messages| messages.map_ok(FlightData::from).boxed()))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        serve(&self.shared, "DoPut", request.map(StreamExt::boxed), command::put).await
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        serve(&self.shared, "DoAction", request, command::action).await
    }

    async fn list_actions(&self, request: Request<Empty>) -> Answer<Self::ListActionsStream> {
        serve(&self.shared, "ListActions", request, command::list_actions).await
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        serve(&self.shared, "ListFlights", request, command::list_flights).await
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<PollInfo> {
        serve(&self.shared, "PollFlightInfo", request, command::poll).await
    }

    async fn do_exchange(&self, request: Request<Streaming<FlightData>>) -> Answer<Self::DoExchangeStream> {
        serve(&self.shared, "DoExchange", request.map(StreamExt::boxed), |_, _| {
            command::not_offered("DoExchange")
        })
        .await
    }
}
