use std::io;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::{self, CertificateError};

use super::samples::{ENCRYPTED_KEY, OLD_ENCRYPTED_KEY, Samples, VERSION_1, VERSION_1_AUTHORITY};
use super::*;

/// One text for several reasons would send an operator to the wrong file.
#[test]
fn every_reason_not_to_trust_a_broker_has_its_own_text() {
    let bad = [
        CertificateError::Expired,
        CertificateError::NotValidYet,
        CertificateError::NotValidForName,
        CertificateError::UnknownIssuer,
        CertificateError::Revoked,
        CertificateError::BadSignature,
    ];
    let reasons: Vec<_> = bad
        .iter()
        .map(|bad| explain(&io::Error::other(rustls::Error::InvalidCertificate(bad.clone()))))
        .inspect(|error| assert!(error.kind() == ErrorKind::Denied && !error.is_transient(), "{error}"))
        .map(|error| error.to_string())
        .collect();
    for (at, one) in reasons.iter().enumerate() {
        assert!(!reasons[..at].contains(one), "{one}");
    }
}

/// The next attempt may find a connection, but no TLS at a port without it.
#[test]
fn a_lost_connection_is_tried_again_and_a_port_without_tls_is_not() {
    let gone = explain(&io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!((gone.kind(), gone.is_transient()), (ErrorKind::Disconnected, true));
    let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
    let plain = explain(&io::Error::other(plain));
    assert_eq!((plain.kind(), plain.is_transient()), (ErrorKind::Config, false));
}

/// Three files can be configured, so the error must name the one that is wrong.
#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = Tls::new().with_ca_file("/nowhere/ca.pem").client().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
    let empty = Tls::new().with_ca_file("/dev/null").client().unwrap_err();
    assert!(empty.to_string().contains("no certificate"), "{empty}");
}

/// The certificates are real ones, so the texts of webpki and rustls behind them are checked as well.
#[test]
fn a_certificate_that_is_refused_says_what_to_change() {
    let samples = Samples::new("refused");
    let authority = samples.file("authority.pem", &samples.authority_pem());
    let version_1 = samples.file("version-1.pem", VERSION_1_AUTHORITY);
    for (case, certificate, trusted, reasons) in [
        ("an authority as leaf", samples.authority_pem(), &authority, &["CA:TRUE", "CA:FALSE"][..]),
        ("a common name only", samples.leaf(None, false), &authority, &["common name", "subjectAltName"]),
        ("another name", samples.leaf(Some("mq2"), false), &authority, &["another host name", "mq2"]),
        ("a client's", samples.leaf(Some("mq1"), true), &authority, &["serverAuth"]),
        ("version 1", VERSION_1.to_owned(), &version_1, &["version 1", "version 3"]),
    ] {
        let error = judged(&certificate, trusted).expect_err(case);
        let text = error.to_string();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Denied, false), "{case}: {text}");
        assert!(reasons.iter().all(|word| text.contains(word)), "{case}: {text}");
        assert!(!text.contains("the certificate of the broker is not accepted"), "{case}: {text}");
    }
    judged(&samples.leaf(Some("mq1"), false), &authority).expect("a sound one");
}

/// Both would otherwise be reported as a file without a key.
#[test]
fn an_encrypted_key_and_a_missing_key_have_different_errors() {
    let samples = Samples::new("keys");
    let certificate = samples.file("client.pem", &samples.authority_pem());
    for (key, reason) in [(ENCRYPTED_KEY, "encrypted"), (OLD_ENCRYPTED_KEY, "encrypted"), ("", "no private key")] {
        let file = samples.file("client.key", key);
        let error = Tls::new().with_identity(&certificate, &file).client().unwrap_err();
        let text = error.to_string();
        assert!(error.kind() == ErrorKind::Config && text.contains(reason) && text.contains("client.key"), "{text}");
    }
}

/// What becomes of a broker `mq1` that shows `certificate`, where `trusted` is the file of the authorities.
fn judged(certificate: &str, trusted: &std::path::Path) -> Result<()> {
    let roots = Tls::new().with_ca_file(trusted).roots()?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let name = ServerName::try_from("mq1").expect("a name");
    let outcome = verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
    outcome.map(drop).map_err(|error| explain(&io::Error::other(error)))
}
