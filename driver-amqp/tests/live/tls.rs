//! TLS on a real node: which certificates are accepted, why others are not, and the login methods.

use std::time::Duration;

use oslo_messaging::driver::Transport as _;
use oslo_messaging::{Deadline, ErrorKind, Result};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport, Login, Tls};
use testkit::certificates::{Certificates, Validity};
use tokio::net::TcpListener;
use xtask::broker::{Node, Settings, free_ports};

use testkit::stage::{blocking, publish, refusal, server, soon, subscribe, take, texts, topic, unique, url};

/// The user whose name the client's certificate has.
const CLIENT: &str = "client";

/// A node that listens inside of TLS too, and the certificates of both sides.
struct Secure {
    node: Node,
    port: u16,
    certificates: Certificates,
}

pub(crate) async fn a_broker_is_verified_and_each_refusal_has_its_own_text() {
    let secure = Secure::start().await;
    let (certificates, port) = (&secure.certificates, secure.port);
    let trusting = Tls::new().with_ca_file(certificates.authority());

    let transport = secure.connect("localhost", &trusting, Login::AmqPlain).await.expect("a verified broker");
    let topic_name = unique("secured");
    let mut listener = subscribe(&transport, &server(&topic_name)).await;
    let large = "x".repeat(1 << 20);
    publish(&transport, &topic(&topic_name), &large).await.expect("a publish");
    assert_eq!(texts(&take(&mut *listener, 1).await), [large]);
    transport.close(soon()).await.expect("the broker answers");

    let refusal_of = async |host: &str, tls: &Tls| {
        let error = refusal(secure.connect(host, tls, Login::AmqPlain).await.map(drop));
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Denied, false), "{error}");
        error.to_string()
    };
    assert!(refusal_of("127.0.0.1", &trusting).await.contains("for another host name"));
    let mistaken = Tls::new().with_ca_file(certificates.other_authority());
    assert!(refusal_of("localhost", &mistaken).await.contains("an authority that is not trusted"));
    assert!(refusal_of("localhost", &Tls::new()).await.contains("an authority that is not trusted"), "the system's");
    secure.show(Validity::Expired).await;
    assert!(refusal_of("localhost", &trusting).await.contains("has expired"));
    // What was renewed is used from the next connection on.
    secure.show(Validity::Now).await;
    secure.connect("localhost", &trusting, Login::AmqPlain).await.expect("the certificate is good again");

    let plain_port = secure.node.attached().port();
    let plain = format!("amqps://localhost:{plain_port}/");
    let error = refusal(
        AmqpTransport::connect(&url(&plain), AmqpConfig::default().with_tls(trusting.clone()), soon()).await.map(drop),
    );
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let unused = format!("amqps://localhost:{unused}/");
    let error = refusal(AmqpTransport::connect(&url(&unused), AmqpConfig::default(), briefly()).await.map(drop));
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    assert_ne!(port, plain_port);
}

/// Whether the alert of the broker is read before the end of the connection is chance; the error says so either way.
pub(crate) async fn a_client_that_the_broker_does_not_know_is_refused() {
    let secure = Secure::start().await;
    let stranger = secure.certificates.client("stranger", secure.certificates.other());
    let tls =
        Tls::new().with_ca_file(secure.certificates.authority()).with_identity(stranger.certificate, stranger.key);
    let error = refusal(secure.connect("localhost", &tls, Login::AmqPlain).await.map(drop));
    assert!(error.to_string().contains("not accept our certificate"), "{error}");
}

pub(crate) async fn every_login_method_logs_in() {
    let secure = Secure::start().await;
    let trusting = Tls::new().with_ca_file(secure.certificates.authority());
    for login in [Login::Plain, Login::AmqPlain, Login::RabbitCrDemo] {
        let connected = secure.connect("localhost", &trusting, login).await;
        connected.unwrap_or_else(|error| panic!("{login:?}: {error}")).close(soon()).await.expect("the broker answers");
    }
    let error = refusal(secure.connect("localhost", &trusting, Login::External).await.map(drop));
    assert_eq!(error.kind(), ErrorKind::Denied, "EXTERNAL needs a certificate: {error}");
    let ours = secure.certificates.client(CLIENT, secure.certificates.trusted());
    let ours = trusting.with_identity(&ours.certificate, &ours.key);
    let transport = secure.connect("localhost", &ours, Login::External).await.expect("the certificate says who we are");
    let users = secure.control(&["list_connections", "user", "auth_mechanism"]).await;
    assert!(users.lines().any(|line| line.starts_with(CLIENT) && line.ends_with("EXTERNAL")), "{users}");
    transport.close(soon()).await.expect("the broker answers");
}

/// Enough for a broker that is there.
fn briefly() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

impl Secure {
    async fn start() -> Self {
        blocking(|| {
            let certificates = Certificates::new(&unique("live"));
            certificates.issue(Validity::Now);
            let [port] = free_ports().expect("a port");
            let settings = Settings {
                configuration: certificates.configuration(port),
                plugins: vec!["rabbitmq_auth_mechanism_ssl".to_owned()],
            };
            let node = Node::start_with(&settings).expect("a node");
            node.rabbitmqctl(&["add_user", CLIENT, "never used"]).expect("a user");
            node.rabbitmqctl(&["set_permissions", CLIENT, ".*", ".*", ".*"]).expect("its rights");
            Self { node, port, certificates }
        })
        .await
    }

    async fn connect(&self, host: &str, tls: &Tls, login: Login) -> Result<AmqpTransport> {
        let config = AmqpConfig::default().with_tls(tls.clone()).with_login(login);
        AmqpTransport::connect(&url(&format!("amqps://{host}:{}/", self.port)), config, briefly()).await
    }

    /// Gives the broker another certificate, which it shows from now on.
    async fn show(&self, validity: Validity) {
        self.certificates.issue(validity);
        self.control(&["eval", "ssl:clear_pem_cache()."]).await;
    }

    async fn control(&self, arguments: &'static [&'static str]) -> String {
        let node = self.node.attached().clone();
        blocking(move || node.rabbitmqctl(arguments).expect("rabbitmqctl")).await
    }
}
