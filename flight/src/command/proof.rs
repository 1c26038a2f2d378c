//! Answers with a proof, which the last message carries, and what else is asked about proofs.

use std::sync::Arc;

use arrow_flight::Action;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jetway_odf::proof::{Document, NodeIdentity, verdict};
use jetway_planner::{Asked, SessionOptions};

use super::{poll, statement};
use crate::call::Call;
use crate::encode::{StreamMessage, encode_stream};
use crate::queries::ActiveQuery;
use crate::ticket::Ticket;
use crate::{Error, ErrorKind, Result};

/// DoGet of a client that wants a proof: the messages of the answer, then one without rows that has the proof as metadata.
pub(super) async fn fetch(
    call: &Call,
    ticket: &Ticket,
    active: ActiveQuery,
) -> Result<BoxStream<'static, Result<StreamMessage>>> {
    let asked = async { Ok::<_, Error>((ask(call, ticket).await?, signer(call)?)) };
    let (asked, identity) = match asked.await {
        Ok(asked) => asked,
        Err(error) => {
            active.fail(&error);
            return Err(error);
        }
    };
    let options = &call.shared.options;
    let statement = asked.statement().clone();
    let schema = ticket.profile.schema(&statement.schema());
    let (_, last) = poll::ends(ticket, &schema)?;
    let meter = active.meter();
    let rows = statement::execute(call, statement, ticket, active);
    let (rows, seal) = asked.watch(rows, identity)?;
    let messages = encode_stream(
        schema,
        rows,
        ticket.profile,
        options.messages,
        options.stream_times(),
        Some(meter),
    );
    let proof = stream::once(async move {
        let document = seal.document()?;
        Some(Ok(StreamMessage {
            metadata: document.to_json().to_string().into(),
            ..last.unwrap_or_default()
        }))
    });
    Ok(messages.chain(proof.filter_map(std::future::ready)).boxed())
}

/// The question of a ticket, if all of it can stand in a proof.
async fn ask(call: &Call, ticket: &Ticket) -> Result<Asked> {
    let unproved = |what: &str| Err(Error::invalid_argument(format!("an answer with a proof cannot {what}")));
    if ticket.part.is_some() {
        return unproved("be read in parts: send the header jetway-proof with GetFlightInfo as well");
    }
    if call.resume_from > 0 {
        return unproved("go on in the middle: read it from the beginning");
    }
    if ticket.parameters.is_some() {
        return unproved("have parameters: write the values into the statement");
    }
    let (session, plain) = (ticket.session.clone(), SessionOptions::default());
    if (SessionOptions {
        schema: None,
        ..session
    }) != plain
    {
        return unproved(
            "depend on options of the session but its schema: unset them, and say in the statement what they said",
        );
    }
    let Some(sql) = ticket.query.sql() else {
        return unproved("be that of a Substrait plan: send SQL");
    };
    let statement = statement::planned(call, ticket).await?;
    Ok(call.shared.planner.ask_for_all(&call.subject, sql, statement).await?)
}

fn signer(call: &Call) -> Result<Arc<NodeIdentity>> {
    call.shared.options.identity.clone().ok_or_else(|| {
        Error::new(
            ErrorKind::Unimplemented,
            "this node has no key to sign answers with: ask without a proof",
        )
    })
}

/// The action that tells who signs.
pub(super) fn identity(call: &Call) -> Result<Bytes> {
    Ok(signer(call)?.did().to_string().into())
}

/// The action that verifies a proof.
pub(super) async fn verify(call: &Call, action: &Action) -> Result<Bytes> {
    let document = Document::parse(&action.body)
        .map_err(|error| Error::invalid_argument(format!("the body of {} is no proof: {error}", action.r#type)))?;
    let outcome = call.shared.planner.verify(&call.subject, &document).await?;
    Ok(verdict(&outcome).to_string().into())
}
