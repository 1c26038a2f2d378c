//! The actions that are offered: the one list of them.

use arrow_flight::ActionType;

use crate::session::actions as session;

pub(super) const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
pub(super) const CREATE_PREPARED_SUBSTRAIT_PLAN: &str = "CreatePreparedSubstraitPlan";
pub(super) const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
pub(super) const BEGIN_TRANSACTION: &str = "BeginTransaction";
pub(super) const END_TRANSACTION: &str = "EndTransaction";
pub(super) const KILL_QUERY: &str = "jetway.KillQuery";
pub(super) const IDENTITY: &str = "jetway.Identity";
pub(super) const VERIFY: &str = "jetway.Verify";
pub(super) const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
pub(super) const CANCEL_QUERY: &str = "CancelQuery";
pub(super) const RENEW_FLIGHT_ENDPOINT: &str = "RenewFlightEndpoint";

/// Name, and what its body and its answer are.
const OFFERED: &[(&str, &str)] = &[
    (
        CREATE_PREPARED_STATEMENT,
        "Plans an SQL statement; gives its handle and schema.",
    ),
    (
        CREATE_PREPARED_SUBSTRAIT_PLAN,
        "Plans a Substrait plan that reads; gives its handle and schema.",
    ),
    (CLOSE_PREPARED_STATEMENT, "Forgets a prepared statement."),
    (
        BEGIN_TRANSACTION,
        "Begins a transaction: what is ingested and inserted in it waits for its end.",
    ),
    (
        END_TRANSACTION,
        "Commits a transaction, each dataset in one step, or rolls it back.",
    ),
    (
        session::SET,
        "Sets options of the session, which is a cookie of the answer.",
    ),
    (session::GET, "Tells the options that apply to calls."),
    (session::CLOSE, "Ends the session."),
    (
        KILL_QUERY,
        "Stops a query; the body is its id as system.queries shows it.",
    ),
    (IDENTITY, "Tells the did:key that answers of this node are signed with."),
    (
        VERIFY,
        "Checks a proof and runs its query again; takes the proof as JSON, gives {ok} or {ok, error} as JSON.",
    ),
    (
        CANCEL_FLIGHT_INFO,
        "Stops a query; takes a CancelFlightInfoRequest, gives a CancelFlightInfoResult.",
    ),
    (
        CANCEL_QUERY,
        "Stops a query, for older clients; takes an ActionCancelQueryRequest, gives an ActionCancelQueryResult.",
    ),
    (
        RENEW_FLIGHT_ENDPOINT,
        "Takes a RenewFlightEndpointRequest; gives the endpoint with a ticket that is good for longer.",
    ),
];

/// What `ListActions` tells.
pub(super) fn offered() -> impl Iterator<Item = ActionType> {
    OFFERED.iter().map(|(name, description)| ActionType {
        r#type: (*name).to_owned(),
        description: (*description).to_owned(),
    })
}
