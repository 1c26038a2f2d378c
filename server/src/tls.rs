//! TLS of the node's own ports: certificates from files, which are read again when they change.
//!
//! ```text
//!  TCP connections ──► handshakes, a task each, with a time limit ──► streams for the servers
//!                          └── the configuration of that moment ◄── files, looked at every few seconds
//! ```

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{Stream, StreamExt};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::config::Tls;

/// How often the files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many handshakes may be under way at once; more connections wait in the system's queue.
const HANDSHAKES: usize = 256;

/// How many connections may be ready and not yet taken.
const READY: usize = 64;

/// Whether clients show a certificate of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// They are not asked for one.
    Unasked,
    /// They must, if the configuration names who signs them.
    Verified,
}

/// A certificate that follows its files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    files: Arc<Files>,
    current: Arc<RwLock<Loaded>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(Debug)]
struct Loaded {
    contents: Contents,
    unasked: Arc<rustls::ServerConfig>,
    verified: Arc<rustls::ServerConfig>,
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Identity {
    /// The identity that the configuration names; none if it names none.
    ///
    /// # Errors
    /// When a file cannot be read, does not hold what it should, or key and certificate do not belong together.
    pub(crate) fn load(config: &Tls) -> Result<Option<Self>> {
        let (certificate, key) = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if config.client_ca.is_none() => return Ok(None),
            (None, None) => bail!("tls.client_ca needs TLS: set tls.certificate and tls.key as well"),
            _ => bail!("tls.certificate and tls.key go together: set both or none"),
        };
        let files = Files {
            certificate,
            key,
            client_ca: config.client_ca.clone(),
        };
        let loaded = Loaded::new(files.read()?)?;
        Ok(Some(Self {
            files: Arc::new(files),
            current: Arc::new(RwLock::new(loaded)),
        }))
    }

    /// Looks at the files until the future is dropped. What cannot be used is logged, and the node goes on with what it has.
    pub(crate) async fn follow(self) {
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            let identity = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || identity.reload()).await;
            match reloaded {
                Ok(Ok(true)) => tracing::info!("the TLS certificate was read again"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the changed TLS files cannot be used; the node goes on with the old ones"
                    );
                }
                Err(error) => tracing::warn!(%error, "the TLS files could not be looked at"),
            }
        }
    }

    /// Takes over the files if they changed.
    fn reload(&self) -> Result<bool> {
        let contents = self.files.read()?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).contents == contents {
            return Ok(false);
        }
        let loaded = Loaded::new(contents)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    fn acceptor(&self, clients: Clients) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let config = match clients {
            Clients::Unasked => &current.unasked,
            Clients::Verified => &current.verified,
        };
        TlsAcceptor::from(Arc::clone(config))
    }

    /// Shakes hands with each connection. One that fails, or takes too long, is dropped, and disturbs no other.
    pub(crate) fn accept(
        &self,
        clients: Clients,
        connections: impl Stream<Item = io::Result<TcpStream>> + Send + 'static,
    ) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
        let (identity, (ready, accepted)) = (self.clone(), mpsc::channel(READY));
        tokio::spawn(async move {
            let under_way = Arc::new(Semaphore::new(HANDSHAKES));
            let mut connections = Box::pin(connections);
            while let Some(connection) = connections.next().await {
                let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else {
                    return;
                };
                if ready.is_closed() {
                    return;
                }
                let (acceptor, ready) = (identity.acceptor(clients), ready.clone());
                tokio::spawn(async move {
                    let stream = match connection {
                        Ok(connection) => within(acceptor.accept(connection)).await,
                        Err(error) => Err(error),
                    };
                    drop(permit);
                    match stream {
                        // Nobody waits for it any more when the node stops.
                        Ok(stream) => drop(ready.send(Ok(stream)).await),
                        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
                    }
                });
            }
        });
        ReceiverStream::new(accepted)
    }
}

async fn within<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client did not finish the handshake",
        )),
    }
}

impl Files {
    fn read(&self) -> Result<Contents> {
        Ok(Contents {
            certificate: read("tls.certificate", &self.certificate)?,
            key: read("tls.key", &self.key)?,
            client_ca: self
                .client_ca
                .as_deref()
                .map(|path| read("tls.client_ca", path))
                .transpose()?,
        })
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {setting}, {}", path.display()))
}

impl Loaded {
    fn new(contents: Contents) -> Result<Self> {
        let chain = certificates("tls.certificate", &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| anyhow::anyhow!("tls.key holds no private key in PEM"))?;
        let unasked = rustls::ServerConfig::builder().with_no_client_auth();
        let unasked = unasked
            .with_single_cert(chain.clone(), key.clone_key())
            .context("tls.certificate and tls.key cannot be used together")?;
        let verified = match &contents.client_ca {
            None => unasked.clone(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates("tls.client_ca", authorities)? {
                    roots
                        .add(authority)
                        .context("tls.client_ca holds a certificate that cannot sign others")?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                    .build()
                    .context("tls.client_ca cannot be used")?;
                rustls::ServerConfig::builder()
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain, key)?
            }
        };
        Ok(Self {
            contents,
            unasked: with_protocols(unasked),
            verified: with_protocols(verified),
        })
    }
}

/// gRPC is HTTP/2; browsers may speak HTTP/1.1.
fn with_protocols(mut config: rustls::ServerConfig) -> Arc<rustls::ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn certificates(setting: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow::anyhow!("{setting} holds no certificates in PEM: {error}"))?;
    if certificates.is_empty() {
        bail!("{setting} holds no certificate in PEM");
    }
    Ok(certificates)
}
