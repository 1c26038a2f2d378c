//! The actions BeginTransaction and EndTransaction.
//!
//! A transaction's identifier is signed like a ticket, so that nobody makes one up or uses another account's. Beginning one
//! writes nothing; its rows wait in the planner's staging folder.

use arrow_flight::sql::{ActionBeginTransactionResult, ActionEndTransactionRequest, EndTransaction, ProstMessageExt};
use bytes::Bytes;
use jetway_planner::{Query, SessionOptions, TransactionId};
use prost::Message;

use super::ingest;
use crate::call::Call;
use crate::queries::QueryId;
use crate::ticket::{Purpose, Ticket};
use crate::{Error, Result};

/// The action BeginTransaction.
pub(super) fn begin(call: &Call) -> Result<Bytes> {
    let options = &call.shared.options;
    if !call.shared.planner.has_transactions() {
        return Err(Error::unimplemented(
            "there are no transactions on this node: turn autocommit on in the client; each statement and each ingest stands alone",
        ));
    }
    let token = Ticket {
        part: None,
        query: Query::Sql(String::new()),
        parameters: None,
        session: SessionOptions::default(),
        id: QueryId::unique(),
        transaction: None,
        pins: Vec::new(),
        views: None,
        profile: call.profile,
        account: call.subject.name().as_str().to_owned(),
        expires: call.now() + options.transaction_ttl,
    };
    let (transaction_id, _) = token.seal(&options.ticket_key, Purpose::Transaction);
    Ok(ActionBeginTransactionResult { transaction_id }
        .as_any()
        .encode_to_vec()
        .into())
}

/// The action EndTransaction.
pub(super) async fn end(call: &Call, request: &ActionEndTransactionRequest) -> Result<()> {
    let id = open(call, &request.transaction_id)?;
    let planner = &call.shared.planner;
    match request.action() {
        EndTransaction::Commit => {
            let outcome = planner.commit_transaction(&call.subject, &id).await?;
            for commit in &outcome.commits {
                ingest::answer(commit);
            }
            tracing::info!(transaction.id = %id, datasets = outcome.commits.len(), "A transaction was committed");
        }
        EndTransaction::Rollback => planner.roll_back(&id).await?,
        EndTransaction::Unspecified => {
            return Err(Error::invalid_argument(
                "the action of EndTransaction is not specified: set it to commit or rollback",
            ));
        }
    }
    Ok(())
}

/// A call that is part of a transaction, if the command names one.
pub(super) fn within(call: &Call, transaction: Option<&Bytes>) -> Result<Call> {
    let transaction = match transaction {
        Some(token) if !token.is_empty() => Some(open(call, token)?),
        _ => None,
    };
    Ok(call.in_transaction(transaction))
}

fn open(call: &Call, token: &[u8]) -> Result<TransactionId> {
    let (key, now) = (&call.shared.options.ticket_key, call.now());
    let (token, _) = Ticket::open(token, key, Purpose::Transaction, &call.subject, now)?;
    TransactionId::from_bytes(&token.id.to_bytes())
        .ok_or_else(|| Error::invalid_argument("this is no transaction of this node: begin one"))
}
