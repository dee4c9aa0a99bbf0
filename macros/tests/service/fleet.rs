//! A bus with one server on it, and the requests that the server sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::rpc::Request;
use oslo_messaging::{Bus, Deadline, Endpoint, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;
use tower::util::MapRequestLayer;

/// What a request asks for: version, method and arguments.
type Asked = (String, String, String);

/// One server of the topic `compute`, and what it was asked.
pub(crate) struct Fleet {
    pub(crate) bus: Bus,
    asked: Arc<Mutex<Vec<Asked>>>,
    _server: RpcServer,
}

impl Fleet {
    /// A server of `endpoint`.
    pub(crate) async fn of<S: Send + Sync + 'static>(endpoint: impl Into<Endpoint<S>>) -> Self {
        let bus = Bus::new(FakeBroker::new().transport());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let record = Arc::clone(&asked);
        let recorder = MapRequestLayer::new(move |request: Request| {
            let version = request.version.clone().unwrap_or_default();
            record.lock().unwrap().push((version, request.method.clone(), request.args.as_str().to_owned()));
            request
        });
        let builder = RpcServer::builder(&bus, Target::topic("compute").server("host-1")).endpoint(endpoint);
        let server = builder.layer(recorder).start(soon()).await.unwrap();
        Self { bus, asked, _server: server }
    }

    /// The last request, as version, method and arguments.
    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

/// How long a start may take.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}
