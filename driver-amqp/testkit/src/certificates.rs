//! Authorities and certificates, made for one test.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};

/// A directory of PEM files that a broker may read.
pub struct Certificates {
    directory: PathBuf,
    trusted: Authority,
    other: Authority,
}

/// What signs certificates.
pub type Authority = Issuer<'static, KeyPair>;

/// When the broker's certificate is valid.
#[derive(Debug, Clone, Copy)]
pub enum Validity {
    Now,
    Expired,
}

/// The files of a certificate and its key.
#[derive(Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Makes two authorities in a new directory, whose name ends with `name`.
    pub fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("oslo-messaging-certificates-{name}"));
        fs::create_dir(&directory).expect("a directory");
        // The broker is another user.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let trusted = authority(&directory.join("authority.pem"));
        let other = authority(&directory.join("other.pem"));
        Self { directory, trusted, other }
    }

    /// A configuration with which a broker listens at `port` inside of TLS, asks for certificates and offers every login method.
    pub fn configuration(&self, port: u16) -> String {
        let directory = self.directory.display();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {directory}/authority.pem\n\
             ssl_options.certfile = {directory}/broker.pem\n\
             ssl_options.keyfile = {directory}/broker.key\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = false\n\
             ssl_cert_login_from = common_name\n\
             auth_mechanisms.1 = PLAIN\n\
             auth_mechanisms.2 = AMQPLAIN\n\
             auth_mechanisms.3 = EXTERNAL\n\
             auth_mechanisms.4 = RABBIT-CR-DEMO\n"
        )
    }

    pub fn authority(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    pub fn other_authority(&self) -> PathBuf {
        self.directory.join("other.pem")
    }

    pub fn trusted(&self) -> &Authority {
        &self.trusted
    }

    pub fn other(&self) -> &Authority {
        &self.other
    }

    /// Writes the certificate of a broker called `localhost`, in place of the one it had.
    pub fn issue(&self, validity: Validity) {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::DnsName("localhost".try_into().expect("a name"))];
        if let Validity::Expired = validity {
            parameters.not_before = date_time_ymd(2001, 1, 1);
            parameters.not_after = date_time_ymd(2002, 1, 1);
        }
        self.sign("broker", &parameters, &self.trusted);
    }

    /// A certificate for a client called `name`.
    pub fn client(&self, name: &str, by: &Authority) -> Identity {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        self.sign(name, &parameters, by)
    }

    fn sign(&self, file: &str, parameters: &CertificateParams, by: &Authority) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, by).expect("a certificate");
        let written = |extension: &str, text: String| {
            let path = self.directory.join(format!("{file}.{extension}"));
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
            path
        };
        Identity { certificate: written("pem", certificate.pem()), key: written("key", key.serialize_pem()) }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn authority(file: &Path) -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, file.display().to_string());
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    fs::write(file, certificate.pem()).expect("a file");
    Issuer::new(parameters, key)
}
