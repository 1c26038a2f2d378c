//! Azure Blob Storage: Azurite.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jetway_odf::storage::{AzureOptions, RepositoryOptions};
use ring::hmac;
use secrecy::SecretString;

use super::server::{self, Server};

pub(crate) const CONTAINER: &str = "container";
/// The account and key that every Azurite has.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const ACCESS_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) struct Azurite {
    /// Lives as long as this value.
    _server: Server,
    port: u16,
}

/// The server of this run, with a container.
pub(crate) fn shared() -> &'static Azurite {
    static SHARED: OnceLock<Azurite> = OnceLock::new();
    SHARED.get_or_init(Azurite::start)
}

impl Azurite {
    fn start() -> Self {
        let [port] = server::free_ports();
        let server = Server::start("Azurite", "JETWAY_TEST_AZURITE", |_| {
            let fixed =
                "--blobHost 127.0.0.1 --location . --silent --skipApiVersionCheck --disableTelemetry --blobPort";
            let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
            arguments.push(port.to_string());
            arguments
        });
        // Any answer will do.
        server.wait_until("the blob service", || {
            server::request(port, "GET /", &[], "").map(|_| true)
        });
        server.wait_until("the container", || Ok(create_container(port)? == 201));
        Self { _server: server, port }
    }

    pub(crate) fn options(&self, key: &str) -> RepositoryOptions {
        RepositoryOptions {
            azure: AzureOptions {
                account: Some(ACCOUNT.to_owned()),
                access_key: Some(SecretString::from(key)),
                endpoint: Some(self.endpoint()),
                allow_http: Some(true),
                ..AzureOptions::default()
            },
            ..RepositoryOptions::default()
        }
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", ACCESS_KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", self.endpoint()),
            ("AZURE_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }
}

/// The client makes no containers, so the request is made and signed here.
fn create_container(port: u16) -> std::io::Result<u16> {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06\n");
    // The path of the emulator begins with the account, and what is signed names the account before the path.
    let resource = format!("/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container");
    let signed = format!("PUT{}{headers}{resource}", "\n".repeat(12));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(ACCESS_KEY).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    server::request(
        port,
        &format!("PUT /{ACCOUNT}/{CONTAINER}?restype=container"),
        &[
            ("x-ms-date", &date),
            ("x-ms-version", "2021-08-06"),
            ("Authorization", &format!("SharedKey {ACCOUNT}:{signature}")),
        ],
        "",
    )
}
