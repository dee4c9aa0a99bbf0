//! The other side of RPC, written by hand: what a peer of another make sends, keeps back, or sends twice.

use std::sync::Arc;

use libtest_mimic::Failed;
use oslo_messaging::wire::{Reply, Request};
use oslo_messaging::{
    Address, Bus, Message, Payload, PublishOptions, Result, RpcClient, Source, Subscription, Target, Transport,
};
use serde_json::{Value, json};

use crate::{Reading, Stage};

/// The server that a hand-made one pretends to be.
pub(super) const SERVER: &str = "peer";

/// A connection that reads and writes the wire by hand. It sends by `&mut` since no listener can be shared.
pub(super) struct Peer<'a> {
    stage: &'a Stage,
    transport: Arc<dyn Transport>,
    pub(super) reading: Reading,
}

impl<'a> Peer<'a> {
    /// A server of the topic of [`target`] that answers nothing by itself.
    pub(super) async fn server(stage: &'a Stage) -> Result<Self> {
        let source = Source::Server { exchange: stage.name("e"), topic: stage.name("t"), server: SERVER.to_owned() };
        Self::reading(stage, source).await
    }

    /// A caller with an inbox of its own.
    pub(super) async fn caller(stage: &'a Stage) -> Result<Self> {
        Self::reading(stage, Source::Inbox).await
    }

    async fn reading(stage: &'a Stage, source: Source) -> Result<Self> {
        let transport = stage.connect().await?;
        let reading = stage.read(&transport, Subscription::new(source)).await?;
        Ok(Self { stage, transport, reading })
    }

    /// The name of the inbox.
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

    /// Waits for the next request, settles it and gives it.
    pub(super) async fn request(&mut self) -> Result<Request, Failed> {
        let message = self.reading.next().await?;
        let request = Request::decode(message.message())?;
        message.acknowledge().await?;
        Ok(request)
    }

    /// Waits for the next reply, settles it and gives it.
    pub(super) async fn reply(&mut self) -> Result<Reply, Failed> {
        let message = self.reading.next().await?;
        let reply = Reply::decode(message.message())?;
        message.acknowledge().await?;
        Ok(reply)
    }

    /// Sends `body` to whoever made `request`.
    pub(super) async fn answer_raw(&mut self, request: &Request, body: impl Into<Vec<u8>>) -> Result<(), Failed> {
        let call = request.call.as_ref().ok_or("nobody waits for an answer")?;
        let (to, options) = (Address::Direct { queue: call.reply_q.clone() }, PublishOptions::by(self.stage.soon()));
        Ok(self.transport.publish(&to, Message::new(body.into()), &options).await?)
    }

    /// Sends `result` to whoever made `request`, as one that others may follow or as the last one.
    pub(super) async fn answer(&mut self, request: &Request, result: Value, ending: bool) -> Result<(), Failed> {
        self.answer_raw(request, reply(request, result, ending)?.encode()).await
    }
}

/// The answer `result` to `request`.
pub(super) fn reply(request: &Request, result: Value, ending: bool) -> Result<Reply, Failed> {
    let call = request.call.as_ref().ok_or("nobody waits for an answer")?;
    let reply = Reply::result(&call.msg_id, uuid::Uuid::new_v4().simple().to_string(), Payload::from(result));
    Ok(reply.with_ending(ending))
}

/// The target whose topic a hand-made server serves.
pub(super) fn target(stage: &Stage) -> Target {
    Target::topic(stage.name("t")).exchange(stage.name("e"))
}

/// A bus, and a client of [`target`] on it.
pub(super) async fn client(stage: &Stage) -> Result<(Bus, RpcClient)> {
    let bus = stage.bus().await?;
    let client = RpcClient::new(&bus, target(stage)).timeout(stage.budget().arrive);
    Ok((bus, client))
}

/// `content` in an envelope as the reference writes it, though it need not be JSON.
pub(super) fn envelope(content: &str) -> String {
    json!({ "oslo.version": "2.0", "oslo.message": content }).to_string()
}
