//! The methods and the event handler that the load is for.

use std::sync::Arc;

use load::Arrivals;
use oslo_messaging::{Context, Endpoint, Event, Failure, NotificationEndpoint, Priority};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The arguments of a request, and the payload of an event.
#[derive(Debug, Serialize, Deserialize)]
pub struct Text {
    /// As in the signature `echo(self, ctxt, s)` of the peer in Python.
    pub s: String,
}

/// Answers calls with what they bring, and counts casts and events.
#[derive(Debug, Clone, Default)]
pub struct Echo {
    /// Casts and events by now.
    pub arrivals: Arrivals,
    /// While it holds `true`, calls are held back.
    held: Option<watch::Receiver<bool>>,
}

impl Echo {
    /// Holds calls back while `held` is true.
    pub fn held(held: watch::Receiver<bool>) -> Self {
        Self { arrivals: Arrivals::default(), held: Some(held) }
    }

    /// The methods `echo` and `note`.
    pub fn endpoint(&self) -> Endpoint<Self> {
        Endpoint::new(self.clone()).method("echo", Self::echo).method("note", Self::note)
    }

    /// Handles every event of level info.
    pub fn events(&self) -> NotificationEndpoint<Self> {
        NotificationEndpoint::new(self.clone()).on(Priority::Info, "*", Self::event)
    }

    async fn echo(self: Arc<Self>, _: Context, text: Text) -> Result<String, Failure> {
        if let Some(held) = &self.held {
            let mut held = held.clone();
            held.wait_for(|held| !held).await.expect("the holder outlives its calls");
        }
        Ok(text.s)
    }

    async fn note(self: Arc<Self>, _: Context, _: Text) -> Result<(), Failure> {
        self.arrivals.note();
        Ok(())
    }

    async fn event(self: Arc<Self>, _: Event<Text>) -> Result<(), Failure> {
        self.arrivals.note();
        Ok(())
    }
}
