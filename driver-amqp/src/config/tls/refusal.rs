//! Explains failed TLS handshakes: the reason, and what to change.
//!
//! The driver reads the cause from the error types of rustls and webpki, not from their texts.
//! Kinds follow what helps: `Denied` and `Config` need an operator, `Disconnected` is transient and is retried.

use std::io;

use oslo_messaging::{Error, ErrorKind, Executed};
use tokio_rustls::rustls::{self, CertificateError, OtherError};
use webpki::Error as Path;

/// The error of a failed handshake, or of a read right after it:
/// `Denied` for certificates, `Config` for a peer without TLS, otherwise `Disconnected`.
///
/// An error without a rustls error in it comes from the socket: it is `Disconnected` and transient.
/// No message was sent at this point, so each error says that nothing was executed.
pub(crate) fn explain(error: &io::Error) -> Error {
    // rustls wraps its errors in those of the stream.
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return Error::new(ErrorKind::Disconnected, "connect")
            .with_executed(Executed::No)
            .with_context("reason", error)
            .transient();
    };
    let (kind, reason) = verdict(tls);
    let explained =
        Error::new(kind, "connect").with_executed(Executed::No).with_context("reason", reason).with_source(tls.clone());
    if kind == ErrorKind::Disconnected { explained.transient() } else { explained }
}

/// An alert comes from the broker, so it is about our side: the client certificate or the protocol version.
/// An unparsable message comes from a peer that does not speak TLS, such as the plain AMQP port.
///
/// Any other error of rustls counts as a lost connection, which is tried again.
fn verdict(error: &rustls::Error) -> (ErrorKind, String) {
    match error {
        rustls::Error::InvalidCertificate(bad) => (ErrorKind::Denied, mistrust(bad)),
        rustls::Error::AlertReceived(alert) => {
            (ErrorKind::Denied, format!("the broker does not accept our certificate or our TLS: {alert:?}"))
        }
        rustls::Error::InvalidMessage(_) => {
            (ErrorKind::Config, "the broker does not speak TLS at this port".to_owned())
        }
        other => (ErrorKind::Disconnected, other.to_string()),
    }
}

/// Why the broker's certificate is not accepted, in words for an operator.
///
/// Each text ends with the correction where the certificate itself must be issued again.
/// A reason that is not listed is passed on in the words of rustls.
fn mistrust(bad: &CertificateError) -> String {
    use CertificateError as Bad;
    let reason = match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => "has expired",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "is not valid yet",
        // A common name does not count, so there was no name to compare.
        Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "names no host: a common name does not count; issue it with a subjectAltName (DNS:<host> or IP:<address>)"
        }
        Bad::NotValidForNameContext { presented, .. } => {
            let names = presented.join(", ");
            return format!("the certificate of the broker is for another host name: it has {names}");
        }
        Bad::NotValidForName => "is for another host name",
        Bad::UnknownIssuer => "is signed by an authority that is not trusted",
        Bad::Revoked => "is revoked",
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            "is not for a server; issue it with extendedKeyUsage serverAuth, or without that extension"
        }
        Bad::UnsupportedSignatureAlgorithmContext { .. }
        | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed by an algorithm that is not supported, such as SHA-1; issue it with SHA-256 or better"
        }
        Bad::Other(other) => return format!("the certificate of the broker {}", path(other)),
        other => return format!("the certificate of the broker is not accepted: {other}"),
    };
    format!("the certificate of the broker {reason}")
}

/// What is wrong in the path from the broker's certificate to a trusted one.
/// webpki reports these inside of rustls's `Other`.
/// If it is another type or reason, its own text is passed on.
fn path(error: &OtherError) -> String {
    let reason = match error.0.downcast_ref() {
        // `openssl req -x509` makes such a certificate by default, so this is the usual mistake of a test set-up.
        Some(Path::CaUsedAsEndEntity) => {
            "is that of an authority (basicConstraints CA:TRUE); issue the broker one of its own, with CA:FALSE, \
             signed by that authority"
        }
        Some(Path::EndEntityUsedAsCa) => {
            "is signed by a certificate that is none of an authority; that one needs basicConstraints CA:TRUE"
        }
        Some(Path::UnsupportedCertVersion) => {
            "is of X.509 version 1; issue it as version 3, with a subjectAltName \
             (`openssl x509 -req` needs an -extfile for that)"
        }
        Some(Path::NameConstraintViolation) => "has a name that its authority may not sign (nameConstraints)",
        Some(Path::PathLenConstraintViolated) => "is behind more authorities than one of them allows (pathlen)",
        Some(Path::UnsupportedCriticalExtension) => "has a critical extension that is not supported",
        _ => return format!("is not accepted: {error}"),
    };
    reason.to_owned()
}
