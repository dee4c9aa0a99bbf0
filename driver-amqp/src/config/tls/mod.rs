//! TLS to a broker: trusted authorities, the client certificate, and errors that say what to change.
//!
//! rustls with the provider `ring` does the work, TLS 1.2 and 1.3,
//! and no part of it is optional: lapin has no TLS here.

mod pem;
mod refusal;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use oslo_messaging::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use pem::{certificates, private_key, unreadable, unusable};
pub(crate) use refusal::explain;

/// The authorities that a transport trusts, and its client certificate.
/// The broker's certificate and host name are always verified.
///
/// The files are read at every connect, so a renewed certificate is used from the next one on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The authorities that may sign the broker's certificate, as PEM. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client certificate with its intermediates, as PEM. Default: none.
    pub cert_file: Option<PathBuf>,
    /// The key of the client certificate, as PEM, not encrypted. Default: the key in `cert_file`.
    pub key_file: Option<PathBuf>,
}

impl Tls {
    /// Trusts the system's authorities, without a client certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts only the authorities of this file, and not those of the system.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Shows this client certificate to a broker that asks for one. The key must not be encrypted.
    #[must_use]
    pub fn with_identity(mut self, cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        self.cert_file = Some(cert_file.into());
        self.key_file = Some(key_file.into());
        self
    }

    /// Performs the TLS handshake with the broker, whose certificate must be for `host`.
    ///
    /// The files are read synchronously: they are small, and a connect is rare.
    ///
    /// Cancellation closes the socket.
    ///
    /// Fails with `Config` for an unusable file or a peer without TLS, with `Denied` and the reason
    /// if either side rejects the certificate of the other, and otherwise with `Disconnected`.
    pub(crate) async fn wrap(&self, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(ErrorKind::Config, "connect").with_context("reason", "TLS needs a host name"))?;
        let connector = TlsConnector::from(Arc::new(self.client()?));
        connector.connect(name, stream).await.map_err(|error| explain(&error))
    }

    /// Reads the files at each call. Fails with `Config`, which names the file that is unusable.
    fn client(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable("the protocol versions", &error))?;
        let builder = builder.with_root_certificates(self.roots()?);
        let Some(file) = &self.cert_file else { return Ok(builder.with_no_client_auth()) };
        let key = private_key(self.key_file.as_ref().unwrap_or(file))?;
        builder.with_client_auth_cert(certificates(file)?, key).map_err(|error| unreadable(file, &error))
    }

    /// `ca_file` replaces the authorities of the system.
    /// An unusable file is `Config`; the authorities of the system cause no error.
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| unreadable(file, &error))?;
                }
            }
            None => {
                // Unusable certificates of the system are skipped; an operator of this service
                // cannot change them.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}
