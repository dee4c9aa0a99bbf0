//! Reads certificates and keys from PEM files, synchronously, at every connect.
//!
//! Every error names the file. The content of a key is in no error.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use oslo_messaging::{Error, ErrorKind, Result};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How an encrypted key begins: in PKCS#8, and in the older form of OpenSSL.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// The certificates in a file, at least one.
///
/// In the order of the file; for a client certificate the first must be its own.
///
/// Fails with `Config`, which names the file, also if the file has no certificate.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let certificates = certificates.map_err(|error| unreadable(file, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(file, &"the file has no certificate"));
    }
    Ok(certificates)
}

/// The first private key in a file.
///
/// PKCS#8, PKCS#1 and SEC1 are read. An encrypted key is recognised, because there is no option for a pass phrase.
///
/// Fails with `Config`, which names the file and what is wrong with the key.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = read(file)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        // Looked at only after a failure; an encrypted key has no type of error of its own.
        let text = String::from_utf8_lossy(&pem);
        if ENCRYPTED.iter().any(|mark| text.contains(mark)) {
            return unreadable(
                file,
                &"the private key is encrypted, and there is no option for a pass phrase; decrypt it with \
                  `openssl pkey -in <file> -out <new file>`, and make the new file readable by this service only",
            );
        }
        match error {
            PemError::NoItemsFound => unreadable(file, &"the file has no private key"),
            error => unreadable(file, &error),
        }
    })
}

/// Fails with `Config`, which has the file and the system's reason.
fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| unreadable(file, &error))
}

/// `Config`, with the path as it is configured, which may be relative.
pub(super) fn unreadable(file: &Path, reason: &dyn Display) -> Error {
    unusable(&file.display().to_string(), reason)
}

/// `Config`; `what` is a file or a part of the TLS set-up.
pub(super) fn unusable(what: &str, reason: &dyn Display) -> Error {
    Error::new(ErrorKind::Config, "connect").with_context("tls", what).with_context("reason", reason)
}
