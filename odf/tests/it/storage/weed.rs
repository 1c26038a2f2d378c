//! S3: SeaweedFS.

use std::sync::OnceLock;

use jetway_odf::storage::{RepositoryOptions, S3Options};
use secrecy::SecretString;

use super::server::{self, Server};

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const SECRET_ACCESS_KEY: &str = "test-secret";
const ACCESS_KEY_ID: &str = "test-key";

pub(crate) struct Weed {
    server: Server,
    port: u16,
}

/// The server of this run, with a bucket.
pub(crate) fn shared() -> &'static Weed {
    static SHARED: OnceLock<Weed> = OnceLock::new();
    SHARED.get_or_init(Weed::start)
}

impl Weed {
    fn start() -> Self {
        let [port, master_port, volume_port, filer_port] = server::free_ports();
        let server = Server::start("SeaweedFS", "JETWAY_TEST_WEED", |folder| {
            let config = serde_json::json!({"identities": [{
                "name": "test",
                "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }]});
            std::fs::write(folder.join("s3.json"), config.to_string()).unwrap();
            std::fs::create_dir(folder.join("store")).unwrap();
            let mut arguments = vec![
                format!("-s3.port={port}"),
                format!("-master.port={master_port}"),
                format!("-volume.port={volume_port}"),
                format!("-filer.port={filer_port}"),
            ];
            // Two of the ports are fixed otherwise, and a second server would fail.
            let fixed = "-s3.port.iceberg=0 -s3.port.lance=0 -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir=store -s3 -filer -s3.config=s3.json -volume.max=8 -master.volumeSizeLimitMB=64";
            arguments.extend(fixed.split(' ').map(str::to_owned));
            arguments.insert(0, "server".to_owned());
            arguments
        });
        let is_ok = |port, request: &str| Ok(server::request(port, request, &[], "")? / 100 == 2);
        server.wait_until("S3", || is_ok(port, "GET /healthz"));
        server.wait_until("the bucket", || is_ok(filer_port, &format!("POST /buckets/{BUCKET}/")));
        Self { server, port }
    }

    pub(crate) fn options(&self, secret: &str) -> RepositoryOptions {
        RepositoryOptions {
            s3: S3Options {
                endpoint: Some(self.endpoint()),
                region: Some("us-east-1".to_owned()),
                access_key_id: Some(ACCESS_KEY_ID.to_owned()),
                secret_access_key: Some(SecretString::from(secret)),
                session_token: None,
                allow_http: Some(true),
            },
            temp_dir: Some(self.server.folder().join("spool")),
            ..RepositoryOptions::default()
        }
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", self.endpoint()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
