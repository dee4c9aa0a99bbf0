//! A hand-written peer for RPC: it sends what another implementation may send, withhold or send twice.

use std::sync::Arc;

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription, Transport};
use oslo_messaging::wire::{Reply, Request};
use oslo_messaging::{Bus, Payload, Result, RpcClient, Target};
use serde_json::{Value, json};

use crate::{Failed, Reading, Stage};

/// Not made unique, because the topic of the server is.
pub(super) const SERVER: &str = "peer";

/// A connection that reads and writes the wire format by hand. Its methods take
/// `&mut self` because a listener is not `Sync`.
pub(super) struct Peer<'a> {
    stage: &'a Stage,
    transport: Arc<dyn Transport>,
    /// Requests for the peer of a server, replies for the peer of a caller.
    pub(super) reading: Reading,
}

impl<'a> Peer<'a> {
    /// A server of the topic of [`target`] that does not answer by itself.
    pub(super) async fn server(stage: &'a Stage) -> Result<Self> {
        let source = Source::Server { exchange: stage.name("e"), topic: stage.name("t"), server: SERVER.to_owned() };
        Self::reading(stage, source).await
    }

    /// A caller whose replies arrive at an inbox; it writes its requests by hand.
    pub(super) async fn caller(stage: &'a Stage) -> Result<Self> {
        Self::reading(stage, Source::Inbox).await
    }

    /// Opens a connection of its own, so that the peer shares nothing with the library under test.
    async fn reading(stage: &'a Stage, source: Source) -> Result<Self> {
        let transport = stage.connect().await?;
        let reading = stage.read(&transport, Subscription::new(source)).await?;
        Ok(Self { stage, transport, reading })
    }

    /// The name for `_reply_q`. Fails for the peer of a server, which has no inbox.
    pub(super) fn inbox(&self) -> Result<String, Failed> {
        match self.reading.address() {
            Address::Direct { queue } => Ok(queue),
            other => Err(format!("an inbox is reached by the name of its queue, not by {other}").into()),
        }
    }

    /// Sends a request as bytes to the topic of [`target`].
    pub(super) async fn send(&mut self, body: impl Into<Vec<u8>>) -> Result<()> {
        let (to, options) = (self.stage.topic("e", "t"), PublishOptions::by(self.stage.soon()));
        self.transport.publish(&to, Message::new(body.into()), &options).await
    }

    /// Waits for the next request, acknowledges it and returns it.
    pub(super) async fn request(&mut self) -> Result<Request, Failed> {
        let message = self.reading.next().await?;
        let request = Request::decode(message.message())?;
        message.acknowledge().await?;
        Ok(request)
    }

    /// Waits for the next reply, acknowledges it and returns it.
    pub(super) async fn reply(&mut self) -> Result<Reply, Failed> {
        let message = self.reading.next().await?;
        let reply = Reply::decode(message.message())?;
        message.acknowledge().await?;
        Ok(reply)
    }

    /// Sends any bytes as a reply to `request`. Fails if the request is a cast.
    pub(super) async fn answer_raw(&mut self, request: &Request, body: impl Into<Vec<u8>>) -> Result<(), Failed> {
        let call = request.call.as_ref().ok_or("the request is no call")?;
        let (to, options) = (Address::Direct { queue: call.reply_q.clone() }, PublishOptions::by(self.stage.soon()));
        Ok(self.transport.publish(&to, Message::new(body.into()), &options).await?)
    }

    /// Sends a reply with `result`. Unless it is `ending`, the caller waits for another one.
    pub(super) async fn answer(&mut self, request: &Request, result: Value, ending: bool) -> Result<(), Failed> {
        self.answer_raw(request, reply(request, result, ending)?.encode()).await
    }
}

/// A reply with a `_unique_id` of its own, so that callers do not take it for a copy. Fails if the request is a cast.
pub(super) fn reply(request: &Request, result: Value, ending: bool) -> Result<Reply, Failed> {
    let call = request.call.as_ref().ok_or("the request is no call")?;
    let reply = Reply::result(&call.msg_id, uuid::Uuid::new_v4().simple().to_string(), Payload::from(result));
    Ok(reply.with_ending(ending))
}

/// Topic and exchange without the server name: requests go to the queue of the topic.
pub(super) fn target(stage: &Stage) -> Target {
    Target::topic(stage.name("t")).exchange(stage.name("e"))
}

/// A client of [`target`] whose calls time out after `Budget::arrive`, and the bus of its own that it uses.
pub(super) async fn client(stage: &Stage) -> Result<(Bus, RpcClient)> {
    let bus = stage.bus().await?;
    let client = RpcClient::new(&bus, target(stage)).timeout(stage.budget().arrive);
    Ok((bus, client))
}

/// `content` in the envelope of the reference. It need not be valid JSON.
pub(super) fn envelope(content: &str) -> String {
    json!({ "oslo.version": "2.0", "oslo.message": content }).to_string()
}
