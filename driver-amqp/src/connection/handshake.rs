//! The two steps that open a connection: TCP, and the login of AMQP.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::ConnectionProperties;
use lapin::tcp::AsyncTcpStream;
use lapin::uri::AMQPUri;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::config::AmqpConfig;
use crate::connection::endpoint::Endpoint;
use crate::connection::stream::{BrokerStream, runtime};

/// How long written bytes may stay unacknowledged before the kernel ends the connection.
/// It notices a dead peer while data is on its way, also if the heartbeat is longer.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);

/// The name of the thread on which lapin reads and writes. Its log is kept from every subscriber.
const IO_THREAD: &str = "lapin-io-loop";

/// Opens a TCP connection. lapin would do it on its own thread, where it cannot be cancelled.
/// The race for the addresses drops it when another one wins.
pub(crate) async fn reach(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    tune(&stream)?;
    Ok(stream)
}

/// lapin calls the connector on its own thread and at most once;
/// a second call fails, because there is no second stream.
/// Fails with lapin's error. It has no deadline, so the caller limits it.
pub(crate) async fn shake_hands(
    endpoint: &Endpoint,
    config: &AmqpConfig,
    wire: BrokerStream,
) -> lapin::Result<lapin::Connection> {
    let once = Mutex::new(Some(wire));
    let connect = async move |_uri: AMQPUri, _runtime| {
        // Here, because lapin calls this on its own thread.
        silence_io_thread();
        let wire = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let wire = wire.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        Ok::<_, lapin::Error>(AsyncTcpStream::Plain(wire))
    };
    lapin::Connection::connector(endpoint.uri(config), runtime(), connect, properties()).await
}

/// Keeps the log of lapin's thread from every subscriber: at `trace` it has whole frames, with credentials and bodies.
/// What an operator needs arrives as errors and events.
/// lapin calls the connector on that thread, and has no other.
fn silence_io_thread() {
    if std::thread::current().name() == Some(IO_THREAD) {
        // The thread ends with its connection, and runs nothing else.
        std::mem::forget(tracing::dispatcher::set_default(&tracing::Dispatch::none()));
    }
}

/// No delay for small frames; a keepalive probe after 10 s of silence, then every 5 s;
/// on Linux the limit of 20 s for unacknowledged bytes.
fn tune(stream: &TcpStream) -> io::Result<()> {
    // A request and its reply are small; waiting for more bytes would add up to 40 ms to each.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
    Ok(())
}

/// The properties that identify this connection in `rabbitmqctl list_connections`.
/// `<program>:<pid>:<uuid>`, the form of the reference (oslo.messaging 18.3.1, `impl_rabbit.py`).
fn properties() -> ConnectionProperties {
    let program = program(&std::env::args_os().next().unwrap_or_default());
    let name = format!("{program}:{}:{}", std::process::id(), Uuid::new_v4());
    ConnectionProperties::default().with_connection_name(name.into())
}

/// The file name of the program that was started as `path`, which need not be UTF-8.
fn program(path: &OsStr) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_by_its_name_whatever_bytes_it_has() {
        for (path, name) in [("/usr/bin/nova-api", "nova-api"), ("nova-api", "nova-api"), ("", "")] {
            assert_eq!(program(path.as_ref()), name);
        }
        #[cfg(unix)]
        assert_eq!(program(std::os::unix::ffi::OsStrExt::from_bytes(b"/bin/\xffapi")), "\u{fffd}api");
    }
}
