use std::sync::Arc;

use oslo_messaging::{Event, Failure, NotificationEndpoint, Priority};
use serde_json::Value;

fn main() {
    let names = vec![String::new()];
    let _ = NotificationEndpoint::new(()).on(Priority::Info, "*", async move |_: Arc<()>, _: Event<Value>| {
        drop(names.clone());
        Ok::<_, Failure>(())
    });
}
