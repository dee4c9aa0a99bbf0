//! A request and its reply.

use std::sync::Arc;

use load::{Arguments, Operation};
use ruststream::codec::{Codec as _, JsonCodec};
use ruststream::{IncomingMessage as _, OutgoingMessage, RequestReply};

use crate::text::{TIMEOUT, Text};

/// The queue of requests.
const QUEUE: &str = "ruststream";

/// A call, which succeeds if it brings its argument back.
#[derive(Debug)]
pub struct Call<Requester> {
    requester: Arc<Requester>,
    text: Arc<Text>,
}

impl<Requester> Call<Requester> {
    pub fn new(requester: Requester, arguments: &Arguments) -> Self {
        Self { requester: Arc::new(requester), text: Arc::new(Text { s: arguments.payload() }) }
    }
}

impl<Requester> Clone for Call<Requester> {
    fn clone(&self) -> Self {
        Self { requester: Arc::clone(&self.requester), text: Arc::clone(&self.text) }
    }
}

impl<Requester: RequestReply + Send + Sync + 'static> Operation for Call<Requester> {
    async fn run(&self) -> bool {
        let body = JsonCodec.encode(&*self.text).expect("it is JSON");
        let Ok(reply) = self.requester.request(OutgoingMessage::new(QUEUE, body.as_ref()), TIMEOUT).await else {
            return false;
        };
        let back: Result<Text, _> = JsonCodec.decode(reply.payload());
        back.is_ok_and(|back| back.s.len() == self.text.s.len())
    }
}
