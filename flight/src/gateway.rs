//! Building the gateway: its options, its service and the transport that suits it.

use std::sync::Arc;
use std::time::Duration;

use jetway_odf::proof::NodeIdentity;
use jetway_planner::{Clock, Planner};
use tonic::transport::Server;

use crate::admission::{Admission, AdmissionOptions};
use crate::encode::StreamTimes;
use crate::parameters::BoundParameters;
use crate::plan_cache::PlanCache;
use crate::queries::{Queries, ResultLimits};
use crate::spool::{Spool, SpoolOptions};
use crate::{Authenticator, FlightEndpoint, MessageLimits, Sessions, TicketKey};

/// Limits and times of a gateway.
#[derive(Debug, Clone)]
pub struct FlightOptions {
    /// Signs tickets and prepared statements; the same on all replicas.
    pub ticket_key: TicketKey,
    /// Tells the time. Replicas whose clocks differ by minutes take each other's tickets for minutes older or younger.
    pub clock: Clock,
    /// How long a ticket is good. Its rows do not change meanwhile, since it pins the heads.
    pub ticket_ttl: Duration,
    /// How long a prepared statement is good.
    pub prepared_ttl: Duration,
    /// How long a session lasts after it was last used or set.
    pub session_ttl: Duration,
    /// How long a transaction may be added to and ended; the planner's lifetime of transactions.
    pub transaction_ttl: Duration,
    /// Sizes of the messages that are sent.
    pub messages: MessageLimits,
    /// Largest message that is taken in, in bytes.
    pub max_upload_message: usize,
    /// Longest SQL text, in bytes. It travels in tickets.
    pub max_statement: usize,
    /// After this time without rows an empty message keeps the connection alive.
    pub heartbeat: Duration,
    /// A client that reads nothing for this long is given up.
    pub stalled: Duration,
    /// The list of queries, which `system.queries` shows.
    pub queries: Queries,
    /// How many queries run and wait.
    pub admission: AdmissionOptions,
    /// Longest time that a query may take from its first call for rows to its last row.
    pub query_timeout: Option<Duration>,
    /// Most rows of a result.
    pub max_result_rows: Option<u64>,
    /// Most bytes of a result.
    pub max_result_bytes: Option<u64>,
    /// How many plans are kept between GetFlightInfo and DoGet.
    pub cached_plans: usize,
    /// How long they are kept; also how long a revoked permission still works for a ticket that was handed out before.
    pub cached_plan_age: Duration,
    /// Results of about so many bytes and more have several endpoints for clients that are known to read in parallel.
    pub divided_from: u64,
    /// Signs answers for clients that ask for a proof. Without it there are none.
    pub identity: Option<Arc<NodeIdentity>>,
    /// Answers that are kept, which `system.spool` shows.
    pub spool: Spool,
    /// The list of sessions, which `system.sessions` shows.
    pub sessions: Sessions,
}

impl FlightOptions {
    /// The defaults, with a key.
    pub fn new(ticket_key: TicketKey) -> Self {
        Self {
            ticket_key,
            clock: Clock::system(),
            ticket_ttl: Duration::from_secs(60 * 60),
            prepared_ttl: Duration::from_secs(24 * 60 * 60),
            session_ttl: Duration::from_secs(24 * 60 * 60),
            transaction_ttl: Duration::from_secs(60 * 60),
            messages: MessageLimits::default(),
            max_upload_message: 64 * 1024 * 1024,
            max_statement: 1024 * 1024,
            heartbeat: Duration::from_secs(30),
            stalled: Duration::from_secs(10 * 60),
            queries: Queries::default(),
            admission: AdmissionOptions::default(),
            query_timeout: None,
            max_result_rows: None,
            max_result_bytes: None,
            cached_plans: 256,
            cached_plan_age: Duration::from_secs(10),
            divided_from: 64 * 1024 * 1024,
            identity: None,
            spool: Spool::new(SpoolOptions::default()),
            sessions: Sessions::default(),
        }
    }

    pub(crate) fn result_limits(&self) -> ResultLimits {
        ResultLimits {
            rows: self.max_result_rows,
            bytes: self.max_result_bytes,
        }
    }

    pub(crate) fn stream_times(&self) -> StreamTimes {
        StreamTimes {
            heartbeat: self.heartbeat,
            stalled: self.stalled,
        }
    }
}

/// How many bytes of bound values are remembered for old clients, and how long: they run a statement right after they bind.
const MAX_REMEMBERED_BYTES: usize = 32 * 1024 * 1024;
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) planner: Planner,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) options: FlightOptions,
    pub(crate) plans: PlanCache,
    pub(crate) spool: Spool,
    /// Values for clients that do not take the handle which a bind answers with.
    pub(crate) bound: BoundParameters,
    pub(crate) queries: Queries,
    pub(crate) admission: Admission,
    pub(crate) sessions: Sessions,
}

/// A Flight SQL server over a planner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FlightGateway {
    pub(crate) shared: Arc<Shared>,
}

impl FlightGateway {
    /// A gateway that plans and runs with `planner` on behalf of whom `authenticator` recognizes.
    pub fn new(planner: Planner, authenticator: Arc<dyn Authenticator>, options: FlightOptions) -> Self {
        let (queries, admission) = (options.queries.clone(), Admission::new(options.admission));
        let (spool, sessions) = (options.spool.clone(), options.sessions.clone());
        let plans = PlanCache::new(options.cached_plans, options.cached_plan_age);
        Self {
            shared: Arc::new(Shared {
                planner,
                authenticator,
                options,
                plans,
                spool,
                bound: BoundParameters::new(MAX_REMEMBERED_BYTES, REMEMBERED_FOR),
                queries,
                admission,
                sessions,
            }),
        }
    }

    /// The sessions that this gateway has seen.
    pub fn sessions(&self) -> Sessions {
        self.shared.sessions.clone()
    }

    /// The gRPC service, with its message limits set, for [`Server::add_service`].
    pub fn into_service(self) -> FlightEndpoint {
        // Above our own limit, so that a message that is a little too large gets our own answer.
        let largest = self.shared.options.max_upload_message.saturating_add(1024 * 1024);
        FlightEndpoint::new(self, largest)
    }
}

/// Sets up HTTP/2 for large streams: windows that keep a long link busy, frames of a whole message, and pings that find dead
/// connections and keep idle ones open.
pub fn tune<L>(server: Server<L>) -> Server<L> {
    const MIB: u32 = 1024 * 1024;
    server
        .initial_stream_window_size(8 * MIB)
        .initial_connection_window_size(32 * MIB)
        .max_frame_size(MIB)
        .http2_max_header_list_size(64 * 1024)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .http2_keepalive_interval(Some(Duration::from_secs(45)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}
