//! TLS to a broker: whom we trust, who we are, and what is said when it does not come about.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oslo_messaging::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Whom a transport trusts, and who it says it is. The broker's certificate and its host name are always verified.
///
/// The files are read at every connection, so that a certificate that was renewed is used from the next one on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The authorities that may sign the broker's certificate, as PEM. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate with what leads to its authority, as PEM. Default: none.
    pub cert_file: Option<PathBuf>,
    /// The key of our certificate, as PEM. Default: in `cert_file`.
    pub key_file: Option<PathBuf>,
}

impl Tls {
    /// Trusts the system's authorities, without a certificate of ours.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities of this file, and no others.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Shows a certificate to the broker.
    #[must_use]
    pub fn with_identity(mut self, cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        self.cert_file = Some(cert_file.into());
        self.key_file = Some(key_file.into());
        self
    }

    /// Shakes hands with the broker that is called `host`.
    ///
    /// # Errors
    /// `Config` for a file that cannot be used; `Denied`, with the reason, when one side does not accept the certificate of
    /// the other; `Disconnected`.
    pub(crate) async fn wrap(&self, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(ErrorKind::Config, "connect").with("reason", "TLS needs a host name"))?;
        let connector = TlsConnector::from(Arc::new(self.client()?));
        connector.connect(name, stream).await.map_err(|error| explain(&error))
    }

    fn client(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable("the protocol versions", &error))?;
        let builder = builder.with_root_certificates(self.roots()?);
        let Some(file) = &self.cert_file else { return Ok(builder.with_no_client_auth()) };
        let key_file = self.key_file.as_ref().unwrap_or(file);
        let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|error| unreadable(key_file, &error))?;
        builder.with_client_auth_cert(certificates(file)?, key).map_err(|error| unreadable(file, &error))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| unreadable(file, &error))?;
                }
            }
            None => {
                // What the system has beside certificates is not ours to complain of, as long as there are some.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}

/// What a failure of the handshake, or of the first bytes after it, means.
pub(crate) fn explain(error: &io::Error) -> Error {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return Error::new(ErrorKind::Disconnected, "connect").with("reason", error).transient();
    };
    let (kind, reason) = verdict(tls);
    let explained = Error::new(kind, "connect").with("reason", reason).with_source(tls.clone());
    if kind == ErrorKind::Disconnected { explained.transient() } else { explained }
}

fn verdict(error: &rustls::Error) -> (ErrorKind, String) {
    use CertificateError as Bad;
    let reason = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "the certificate of the broker has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate of the broker is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the certificate of the broker is for another host name"
            }
            Bad::UnknownIssuer => "the certificate of the broker is signed by an authority that is not trusted",
            Bad::Revoked => "the certificate of the broker is revoked",
            _ => return (ErrorKind::Denied, format!("the certificate of the broker is not accepted: {bad}")),
        },
        rustls::Error::AlertReceived(alert) => {
            return (ErrorKind::Denied, format!("the broker does not accept our certificate or our TLS: {alert:?}"));
        }
        rustls::Error::InvalidMessage(_) => "the broker does not speak TLS at this port",
        other => return (ErrorKind::Disconnected, other.to_string()),
    };
    let kind = if matches!(error, rustls::Error::InvalidMessage(_)) { ErrorKind::Config } else { ErrorKind::Denied };
    (kind, reason.to_owned())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let certificates = certificates.map_err(|error| unreadable(file, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(file, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, reason: &dyn std::fmt::Display) -> Error {
    unusable(&file.display().to_string(), reason)
}

fn unusable(what: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, "connect").with("TLS", what).with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_not_to_trust_a_broker_is_told_apart() {
        let bad = [
            CertificateError::Expired,
            CertificateError::NotValidYet,
            CertificateError::NotValidForName,
            CertificateError::UnknownIssuer,
            CertificateError::Revoked,
            CertificateError::BadSignature,
        ];
        let told: Vec<_> = bad
            .iter()
            .map(|bad| explain(&io::Error::other(rustls::Error::InvalidCertificate(bad.clone()))))
            .inspect(|error| assert!(error.kind() == ErrorKind::Denied && !error.is_transient(), "{error}"))
            .map(|error| error.to_string())
            .collect();
        for (at, one) in told.iter().enumerate() {
            assert!(!told[..at].contains(one), "{one}");
        }
    }

    #[test]
    fn a_lost_connection_is_tried_again_and_a_port_without_tls_is_not() {
        let gone = explain(&io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!((gone.kind(), gone.is_transient()), (ErrorKind::Disconnected, true));
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let plain = explain(&io::Error::other(plain));
        assert_eq!((plain.kind(), plain.is_transient()), (ErrorKind::Config, false));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let missing = Tls::new().with_ca_file("/nowhere/ca.pem").client().unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Config);
        assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
        let empty = Tls::new().with_ca_file("/dev/null").client().unwrap_err();
        assert!(empty.to_string().contains("no certificate"), "{empty}");
    }
}
