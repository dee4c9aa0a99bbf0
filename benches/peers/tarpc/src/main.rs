//! `tarpc call`: tarpc within one process, as serde_json over a duplex stream, or with `--transport channel` as values that
//! never become bytes.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::StreamExt as _;
use load::{Arguments, Line, Operation};
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::tokio_serde::formats::Json;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tarpc::{client, context};

/// The bytes that the stream holds in each direction.
const STREAM: usize = 1 << 20;

#[tarpc::service]
trait Service {
    async fn echo(s: String) -> String;
}

#[derive(Clone)]
struct Echo;

impl Service for Echo {
    async fn echo(self, _: context::Context, s: String) -> String {
        s
    }
}

fn main() -> ExitCode {
    load::run(calls)
}

async fn calls(arguments: Arguments) -> Line {
    let channel = arguments.text("transport", "json") == "channel";
    let client = if channel { over_channel() } else { over_stream() };
    let call = Call { client, text: arguments.payload().into() };
    match arguments.work() {
        "call" => load::drive("tarpc", &arguments, call).await,
        "count" => load::counted("tarpc", &arguments, call).await,
        other => panic!("there is no work {other:?}"),
    }
}

fn over_channel() -> ServiceClient {
    let (to, from) = tarpc::transport::channel::unbounded();
    tokio::spawn(BaseChannel::with_defaults(from).execute(Echo.serve()).for_each(spawn));
    ServiceClient::new(client::Config::default(), to).spawn()
}

fn over_stream() -> ServiceClient {
    let (near, far) = tokio::io::duplex(STREAM);
    let codec = LengthDelimitedCodec::builder();
    let server = tarpc::serde_transport::new(codec.new_framed(far), Json::default());
    tokio::spawn(BaseChannel::with_defaults(server).execute(Echo.serve()).for_each(spawn));
    let transport = tarpc::serde_transport::new(codec.new_framed(near), Json::default());
    ServiceClient::new(client::Config::default(), transport).spawn()
}

async fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

#[derive(Clone)]
struct Call {
    client: ServiceClient,
    text: Arc<str>,
}

impl Operation for Call {
    async fn run(&self) -> bool {
        let back = self.client.echo(context::current(), self.text.to_string()).await;
        back.is_ok_and(|back| back.len() == self.text.len())
    }
}
