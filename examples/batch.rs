//! Events in batches: as many as fit, or what came within a second of the first.
//!
//! ```console
//! $ cargo run --example batch
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::MessagingSink;
use oslo_messaging::{
    Context, Deadline, Event, Failure, NotificationEndpoint, NotificationListener, Notifier, Priority, Result, Target,
};
use oslo_messaging_examples::connect;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Deserialize)]
struct Sample {
    watts: u64,
}

/// What a batch came to: how many samples, and their sum.
type Sums = UnboundedSender<(usize, u64)>;

async fn sum(sums: Arc<Sums>, samples: Vec<Event<Sample>>) -> std::result::Result<(), Failure> {
    let watts = samples.iter().map(|sample| sample.payload.watts).sum();
    sums.send((samples.len(), watts)).map_err(Failure::internal)
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));

    let notifier = Notifier::from_sink("meter.house-1", MessagingSink::new(&bus).topics(["meter_samples"]));
    for watts in 1..=205_u64 {
        notifier.sample(&Context::new(), "power", &json!({ "watts": watts })).await?;
    }

    let (sums, mut batches) = unbounded_channel();
    let listener = NotificationListener::builder(&bus)
        .target(Target::topic("meter_samples"))
        .endpoint(NotificationEndpoint::new(sums).on_batch(Priority::Sample, "power", sum))
        .batch(NonZeroUsize::new(100).expect("100 is not zero"), Duration::from_secs(1))
        .start(soon())
        .await?;
    for _ in 0..3 {
        let (samples, watts) = batches.recv().await.expect("the listener runs");
        println!("{samples} samples: {watts} W");
    }
    listener.shutdown(soon()).await?;
    bus.close(soon()).await
}
