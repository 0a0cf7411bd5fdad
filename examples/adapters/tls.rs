//! TLS by [rustls](https://docs.rs/rustls) over anything that reads and writes.
//!
//! Nothing in here knows of fibers: over a `std::net::TcpStream` the same functions block the thread.

#![forbid(unsafe_code)]
// Each example uses what it needs.
#![allow(dead_code)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

/// The name in the certificate.
pub const NAME: &str = "localhost";

/// A server with a certificate of its own making, and a client that believes that certificate only.
#[derive(Clone)]
pub struct Ends {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
    pub certificate: CertificateDer<'static>,
}

impl Ends {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let certificate = CertificateDer::from(made.cert);
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            certificate,
        })
    }

    /// The server's end of a connection. The handshake is done by the first read or write.
    pub fn accept<S: Read + Write>(
        &self,
        stream: S,
    ) -> io::Result<StreamOwned<ServerConnection, S>> {
        let session = ServerConnection::new(self.server.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(session, stream))
    }

    /// The client's end of a connection. The handshake is done by the first read or write.
    pub fn connect<S: Read + Write>(
        &self,
        stream: S,
    ) -> io::Result<StreamOwned<ClientConnection, S>> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let session = ClientConnection::new(self.client.clone(), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(session, stream))
    }
}

/// Says that nothing more will come (`close_notify`). Without it the other end takes the end of the connection for an attack.
pub fn finish<C, S, D>(stream: &mut StreamOwned<C, S>) -> io::Result<()>
where
    C: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    S: Read + Write,
    D: rustls::SideData,
{
    stream.conn.send_close_notify();
    stream.flush()
}
