//! Connections that somebody else accepts, and may encrypt.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long nothing is accepted after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// A stream of connections, as a server wants it.
#[derive(Debug)]
pub(super) struct Connections<I> {
    address: SocketAddr,
    connections: I,
}

impl<I> Connections<I> {
    /// Connections that come in at an address of ours.
    pub(super) fn new(address: SocketAddr, connections: I) -> Self {
        Self { address, connections }
    }
}

impl<I, C> Listener for Connections<I>
where
    I: Stream<Item = io::Result<C>> + Send + Unpin + 'static,
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Io = C;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (C, SocketAddr) {
        loop {
            match self.connections.next().await {
                // Whose address it is does not matter to any page.
                Some(Ok(connection)) => return (connection, self.address),
                // Such as too many open files: others may end meanwhile.
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
