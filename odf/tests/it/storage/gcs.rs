//! Google Cloud Storage: fake-gcs-server, behind a front that speaks the protocol of our client.
//!
//! Google has two protocols for the same objects. The client speaks the one with XML, of which no emulator knows
//! conditional puts and uploads in parts; fake-gcs-server honors conditions in the one with JSON only. So the front turns
//! puts of one protocol into puts of the other, and passes everything else on as it is.

mod front;

use std::sync::OnceLock;

use jetway_odf::storage::{GcsOptions, RepositoryOptions};
use secrecy::SecretString;

use super::server::{self, Server};
use front::Front;

pub(crate) const BUCKET: &str = "bucket";

pub(crate) struct Gcs {
    /// Lives as long as this value.
    _server: Server,
    front: Front,
}

/// The server of this run, with a bucket.
pub(crate) fn shared() -> &'static Gcs {
    static SHARED: OnceLock<Gcs> = OnceLock::new();
    SHARED.get_or_init(Gcs::start)
}

impl Gcs {
    fn start() -> Self {
        let [port] = server::free_ports();
        let server = Server::start("fake-gcs-server", "JETWAY_TEST_FAKE_GCS", |_| {
            let fixed = "-scheme http -backend memory -log-level warn -host 127.0.0.1 -port";
            let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
            let public_host = format!("127.0.0.1:{port}");
            arguments.extend([port.to_string(), "-public-host".to_owned(), public_host]);
            arguments
        });
        let bucket = format!("{{\"name\": \"{BUCKET}\"}}");
        let json = [("Content-Type", "application/json")];
        server.wait_until("the bucket", || {
            Ok(server::request(port, "POST /storage/v1/b", &json, &bucket)? == 200)
        });
        Self {
            _server: server,
            front: Front::start(port),
        }
    }

    /// Uploads in parts that have neither been finished nor ended.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.front.unfinished_uploads()
    }

    /// Refuses the part of that number of the next upload.
    pub(crate) fn refuse_part(&self, number: u32) {
        self.front.refuse_part(number);
    }

    pub(crate) fn options(&self) -> RepositoryOptions {
        RepositoryOptions {
            gcs: GcsOptions {
                endpoint: Some(self.front.endpoint()),
                service_account_key: Some(SecretString::from(SERVICE_ACCOUNT)),
                allow_http: Some(true),
                ..GcsOptions::default()
            },
            ..RepositoryOptions::default()
        }
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GOOGLE_BASE_URL", self.front.endpoint()),
            ("GOOGLE_SERVICE_ACCOUNT_KEY", SERVICE_ACCOUNT.to_owned()),
            ("GOOGLE_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}

/// An account for emulators: no token is asked for.
const SERVICE_ACCOUNT: &str = r#"{"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": true}"#;
