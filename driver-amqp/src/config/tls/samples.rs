//! Certificates and keys for tests, made by rcgen where it can.
//! The others are of OpenSSL, valid for a hundred years, and their keys are nowhere used.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

/// The authority of [`VERSION_1`], which itself is of version 3.
pub(super) const VERSION_1_AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBhjCCAS2gAwIBAgIUfxX6BOT5/RpFkURHKo5Ac3btj8YwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNT2xkIGF1dGhvcml0eTAgFw0yNjExMzAwNjUwMDJaGA8yMTI2
MTEwNjA2NTAwMlowGDEWMBQGA1UEAwwNT2xkIGF1dGhvcml0eTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJd6u8KWi3zyzS1ZHALX4vXSoGt2kIZxT0fu+775svh3
wCYWxxW+WM0Gx54bW8KsFsKJTZABA0yFjVlsb6h1msGjUzBRMB0GA1UdDgQWBBTd
7Z+3UsHd/YmOm4ptoC8OcdxlTTAfBgNVHSMEGDAWgBTd7Z+3UsHd/YmOm4ptoC8O
cdxlTTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIF6GJOdlSfuX
/qX/heVCKbKP83D2kY5kPN/K7mZI/2a6AiAwMUEu4TDWwSmRbGJVIXZ276BzY+rZ
98wdyb7cP6xUjQ==
-----END CERTIFICATE-----
";

/// `openssl x509 -req -in mq1.csr -CA authority.pem -CAkey authority.key`, which without extensions is version 1.
pub(super) const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBDzCBtgIBBzAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1PbGQgYXV0aG9yaXR5
MCAXDTI2MTEzMDA2NTAwM1oYDzIxMjYxMTA2MDY1MDAzWjAOMQwwCgYDVQQDDANt
cTEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAToIFWFlkWlNJ49a1TcGdGkFPoZ
F+lKRCtJySrL6ghvzhBKMogPnHjpGCT4rDmGq13TMwip3xTy8pgYQG6r76SMMAoG
CCqGSM49BAMCA0gAMEUCIHOdQTlX2tGeehz1BDeT9xq7C0au/MK0OMWio1ihAFZy
AiEAxvg++wwzXJH8qFAS1gfLmJAnCVjq7IR/Drg/Maxw9Cs=
-----END CERTIFICATE-----
";

/// Made by `openssl pkcs8 -topk8`: PKCS#8, whose first line says that the key is encrypted.
pub(super) const ENCRYPTED_KEY: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg8nJ447aqOdQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBMsKWzvmkMn0zDjegY7ZS8EgZB0
Rw5/pzLSRnM2JVZfNCeCwdjuWyjEFZi5TaV+ofLzDYVKS6aWHUvU0KhoLWqXg/Rv
pvsQ42CW4AlT4nx+csBRXBABcj1uv/VLNrDAK3dR2ed2E2CGSWzmYW56OgcNZwcj
Ht1rVFqrtXMGRIMFjRYwCOjNkUG/SRm5h3efoaM9DtoI3sSLS+WR3qXRXBQKs/8=
-----END ENCRYPTED PRIVATE KEY-----
";

/// Made by `openssl ec -aes128`: OpenSSL's older form, in which only a header says that the key is encrypted.
pub(super) const OLD_ENCRYPTED_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,D45B1746C5EB7A9B194B3FEA6A8CA541

cjSAgtx8/oXA9ZR2TAyn9wAo5ZxgsuE+u/sw+Xy0LXM4hkX3+3Nh/z1IizLgNXSL
BxIaEhw548XEiAPDaHPzDU+b0/lHyYBBpQKC+Tt60/pQ0nxphenI2a2QjlMkhGNP
hYzz1meACIPdR0U6VZ1v8HTEyfADKe8zTjP66/UeBRU=
-----END EC PRIVATE KEY-----
";

/// An authority of one test, and the files that the test writes.
/// They lie in a directory of their own, which is removed with it.
pub(super) struct Samples {
    /// In the directory for temporary files, with the id of the process in its name.
    directory: PathBuf,
    /// Signs the leaves, with a key that is new for each test.
    authority: Issuer<'static, KeyPair>,
    /// The self-signed certificate of `authority`, for tests that trust it or show it as a broker's.
    pem: String,
}

impl Samples {
    /// `name` keeps tests that run at the same time apart.
    /// The authority also has the host name of a broker, for a test that shows it as one.
    pub(super) fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("oslo-messaging-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let mut parameters = named("Authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.subject_alt_names = vec![SanType::DnsName("mq1".try_into().expect("a name"))];
        let key = KeyPair::generate().expect("a key");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Self { directory, authority: Issuer::new(parameters, key), pem }
    }

    /// Writes `text` to the directory under `name`, over an earlier file. Returns the path for the configuration.
    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// A self-signed certificate with CA:TRUE.
    pub(super) fn authority_pem(&self) -> String {
        self.pem.clone()
    }

    /// A certificate of a broker whose common name is `mq1`, for `host` if there is one; for clients alone if asked.
    pub(super) fn leaf(&self, host: Option<&str>, of_a_client: bool) -> String {
        let mut parameters = named("mq1");
        parameters.subject_alt_names =
            host.map(|host| SanType::DnsName(host.try_into().expect("a name"))).into_iter().collect();
        if of_a_client {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        let key = KeyPair::generate().expect("a key");
        parameters.signed_by(&key, &self.authority).expect("a certificate").pem()
    }
}

impl Drop for Samples {
    /// The files of a test that panics are removed as well. A failure to remove them is ignored.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Parameters with this common name and nothing else.
fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
