//! The areas of the configuration. The doc comment of a field is also its entry in `jetway config`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteSize, Count, Flag, Period, Secret};

/// Declares an area: its struct, its defaults, and the same doc comments as text for the reference.
macro_rules! area {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident: $type:ty = $default:expr, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $name {
            /// What the area is about.
            pub(super) const ABOUT: &'static [&'static str] = &[$($about),+];
            /// What each field means, in order.
            pub(super) const FIELDS: &'static [(&'static str, &'static [&'static str])] =
                &[$( (stringify!($field), &[$($doc),+]), )+];
        }
    };
}

area! {
    /// The HTTP side: health, metrics, a page that tells where to connect, and datasets to copy.
    pub struct Http {
        /// HOST:PORT to listen on; port 0 means any free one.
        pub address: String = "127.0.0.1:8080".to_owned(),
        /// Whether datasets can be copied from here without credentials. Writing always needs some.
        pub anonymous_read: Flag = Flag(false),
        /// Largest slice or checkpoint of a dataset that is copied here, such as 16GiB.
        pub max_upload: ByteSize = ByteSize::from_mib(64 << 10),
        /// Largest answer of /query, in bytes of text. Larger ones are for Arrow Flight.
        pub max_answer: ByteSize = ByteSize::from_mib(64),
    }
}

area! {
    /// The Arrow Flight SQL side.
    pub struct Flight {
        /// HOST:PORT to listen on; port 0 means any free one.
        pub address: String = "127.0.0.1:50050".to_owned(),
        /// How long the ticket of an answer may wait to be fetched, such as 10m or 1h. Its rows do not change meanwhile.
        pub ticket_lifetime: Period = Period::from_hours(1),
        /// How long a prepared statement can be used.
        pub prepared_lifetime: Period = Period::from_hours(24),
        /// How long a session lasts after it was last used.
        pub session_lifetime: Period = Period::from_hours(24),
        /// How long a transaction may take from its begin to its end. What is not committed by then is forgotten.
        pub transaction_lifetime: Period = Period::from_hours(1),
        /// How much the rows of one transaction may take while they wait for its end, compressed, such as 16GiB.
        pub max_transaction: ByteSize = ByteSize::from_mib(16 << 10),
        /// Largest message of an upload, such as 64MiB. Clients that send larger record batches are told to split them.
        pub max_upload_message: ByteSize = ByteSize::from_mib(64),
        /// Memory for answers that are kept, such as 1GiB: a question that was asked before is answered from there as long as
        /// nothing changed.
        pub spool_memory: ByteSize = ByteSize::from_mib(256),
        /// Room for longer answers in files, which are in the folder "spool" in the data folder. Zero for none.
        pub spool_disk: ByteSize = ByteSize::from_mib(4 << 10),
        /// How long an answer is kept that nobody reads.
        pub spool_lifetime: Period = Period::from_seconds(10 * 60),
        /// Web sites whose pages may call with gRPC-Web, with commas between them, such as `https://app.example.org`; * for any.
        /// Pages from the node's own HTTP port always may.
        pub web_origins: String = String::new(),
    }
}

area! {
    /// TLS of both ports. The files are looked at every few seconds, and read again when they change.
    pub struct Tls {
        /// File with the certificate in PEM, and with those that lead from it to its authority. No TLS unless set.
        pub certificate: Option<PathBuf> = None,
        /// File with its private key in PEM.
        pub key: Option<PathBuf> = None,
        /// File with the authorities that sign the certificates of clients, in PEM. When set, clients of the Arrow Flight port must
        /// show such a certificate (mTLS), and log in as ever. The HTTP port asks for none, since probes have none.
        pub client_ca: Option<PathBuf> = None,
    }
}

area! {
    /// Where datasets are. A folder, file:///folder, s3://bucket/prefix, az://container/prefix,
    /// abfss://container@account.dfs.core.windows.net/prefix or gs://bucket/prefix. Datasets of other ODF software are opened
    /// in place, by the folder or prefix that holds a folder for each of them.
    pub struct Storage {
        /// Unless set, the folder "datasets" in the data folder.
        pub repository: Option<String> = None,
        /// Whether the repository is only read. Nothing is written to it then, and it must be there.
        pub read_only: Flag = Flag(false),
        /// Where derivative datasets are. Unless set, in the same repository.
        pub derivative_repository: Option<String> = None,
        /// Whether the repository of derivative datasets is only read. Unless set, as read_only says.
        pub derivative_read_only: Option<Flag> = None,
        /// Where rows of transactions wait for their end: a folder, or a bucket and prefix as above. Replicas share it. Unless
        /// set, the folder "staging" in the data folder.
        pub staging: Option<String> = None,
        /// Account that owns datasets whose alias in storage names no account.
        pub default_account: String = jetway_control::ADMIN.to_owned(),
    }
}

area! {
    /// How to reach S3 or a store that speaks like it. What is not set here comes from the usual AWS_* variables,
    /// then from the role of the instance or pod.
    pub struct S3 {
        /// Such as `https://storage.example.org:9000`; Amazon's own unless set.
        pub endpoint: Option<String> = None,
        /// Such as eu-central-1.
        pub region: Option<String> = None,
        /// Goes with secret_access_key.
        pub access_key_id: Option<String> = None,
        /// Goes with access_key_id.
        pub secret_access_key: Option<Secret> = None,
        /// For temporary credentials.
        pub session_token: Option<Secret> = None,
        /// Whether an endpoint without TLS is accepted.
        pub allow_http: Option<Flag> = None,
    }
}

area! {
    /// How to reach Azure Blob Storage. What is not set here comes from the usual AZURE_* variables, then from the identity of
    /// the machine or pod.
    pub struct Azure {
        /// Name of the storage account, unless the URL names it.
        pub account: Option<String> = None,
        /// Key of the storage account.
        pub access_key: Option<Secret> = None,
        /// A shared access signature, in place of a key.
        pub sas_token: Option<Secret> = None,
        /// Tenant of the application that client_id names.
        pub tenant_id: Option<String> = None,
        /// An application, together with tenant_id and client_secret; alone, a managed identity.
        pub client_id: Option<String> = None,
        /// Goes with client_id.
        pub client_secret: Option<Secret> = None,
        /// Such as `https://account.blob.core.windows.net`, which is what it is unless set.
        pub endpoint: Option<String> = None,
        /// Whether an endpoint without TLS is accepted.
        pub allow_http: Option<Flag> = None,
    }
}

area! {
    /// How to reach Google Cloud Storage. What is not set here comes from the usual GOOGLE_* variables, then from the account
    /// of the machine or pod. Google lets a dataset be committed to about once a second.
    pub struct Gcs {
        /// File with the key of a service account.
        pub service_account_file: Option<PathBuf> = None,
        /// The key of a service account as JSON text, in place of a file.
        pub service_account_key: Option<Secret> = None,
        /// Google's own unless set.
        pub endpoint: Option<String> = None,
        /// Whether an endpoint without TLS is accepted.
        pub allow_http: Option<Flag> = None,
    }
}

area! {
    /// Who may use the node.
    pub struct Accounts {
        /// Password of the account "admin" that the first start makes; random and shown once unless set.
        /// Later starts ignore it. Also JETWAY_ADMIN_PASSWORD.
        pub admin_password: Option<Secret> = None,
        /// Accounts whose datasets may be read over Arrow Flight without logging in, with commas between them; * for all accounts.
        pub public: String = String::new(),
        /// How long the token counts that a login gives, such as 30m, 24h or 7d.
        pub login_token_lifetime: Period = Period::from_hours(24),
    }
}

area! {
    /// What all replicas of a node must share.
    pub struct Node {
        /// Key that login tokens and tickets are signed with: 32 random bytes in URL-safe base64 without padding.
        /// Unless set, the file node.key in the data folder, which the first start makes.
        pub key: Option<Secret> = None,
        /// Key that answers are signed with when a proof is asked for: an Ed25519 key, 32 random bytes in URL-safe base64 without
        /// padding. Unless set, the file signing.key in the data folder, which the first start makes. `jetway identity` names it.
        pub signing_key: Option<Secret> = None,
    }
}

area! {
    /// Limits of statements and ingests.
    pub struct Query {
        /// Memory that all running statements share, such as 4GiB; beyond it they spill or fail.
        /// Unless set, half of what the machine or container has.
        pub memory_limit: Option<ByteSize> = None,
        /// Folder to spill to. Unless set, one in the system's folder for temporary files.
        pub spill_dir: Option<PathBuf> = None,
        /// Memory of one statement. Unless set, a quarter of memory_limit, but at least 64MiB.
        pub statement_memory_limit: Option<ByteSize> = None,
        /// Intermediate results that one statement may have in files at any one moment.
        pub spill_limit: ByteSize = ByteSize::from_mib(64 << 10),
        /// Intermediate results that all statements and ingests together may have in files at any one moment.
        pub total_spill_limit: ByteSize = ByteSize::from_mib(256 << 10),
        /// How many statements run at once. Unless set, four for each core, but at least 8. Others wait for their turn.
        pub concurrency: Option<Count> = None,
        /// How many large ingests write at once. Unless set, two for each core, but at least 4. Others wait, and are refused after a
        /// minute; small ones always run.
        pub large_ingests: Option<Count> = None,
        /// How many statements of one account run at once. Unless set, as many as of all.
        pub concurrency_per_account: Option<Count> = None,
        /// How many statements wait; one more is refused, and may be sent again later.
        pub queue_length: Count = Count::of(1000),
        /// How long a statement waits for its turn before it is refused.
        pub queue_timeout: Period = Period::from_seconds(60),
        /// Longest time that a statement may take, with the time that it waits and that its client reads; any time unless set.
        pub timeout: Option<Period> = None,
        /// Most rows of a result; any number unless set.
        pub max_result_rows: Option<Count> = None,
        /// Largest result; any size unless set.
        pub max_result_bytes: Option<ByteSize> = None,
        /// How many queries that have ended system.queries shows.
        pub history: Count = Count::of(1000),
        /// How many plans are kept for statements that come again.
        pub cached_plans: Count = Count::of(1000),
        /// Memory for these plans. None are kept if it is zero.
        pub cached_plans_memory: ByteSize = ByteSize::from_mib(64),
        /// How many cores one statement uses. Unless set, all of them.
        pub parallelism: Option<Count> = None,
    }
}

area! {
    /// Logs to standard error, and traces to a collector.
    pub struct Telemetry {
        /// What is logged, such as info or info,jetway_planner=debug. JETWAY_LOG and RUST_LOG override it.
        pub log: String = "info".to_owned(),
        /// text for people, json for machines.
        pub log_format: LogFormat = LogFormat::Text,
        /// gRPC address of an OpenTelemetry collector, such as http://localhost:4317; no traces unless set.
        pub otlp_endpoint: Option<String> = None,
        /// Name of this node in traces.
        pub service_name: String = "jetway".to_owned(),
    }
}

area! {
    /// How the node stops.
    pub struct Shutdown {
        /// How long running streams may go on after the first signal. A second signal ends the process at once.
        pub grace_period: Period = Period::from_seconds(30),
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
