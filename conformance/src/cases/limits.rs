//! Limits: lengths of names and headers, sizes of bodies, numbers of messages.

use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};

use crate::cases::cases;
use crate::{Outcome, Stage};

/// The longest name that AMQP 0-9-1 has, in bytes, and with it the longest that peers may use.
const LONGEST_NAME: usize = 255;

cases! { limits;
    /// AMQP 0-9-1, short string: 255 bytes; the names of peers may be as long as that.
    a_name_of_255_bytes_works [];
    /// Transport::subscribe: TooLarge for a name over the broker's limit.
    a_longer_name_is_too_large_and_never_cut [];
    /// Message::body: The body. ErrorKind::TooLarge: over a limit of the broker, and never cut.
    a_megabyte_arrives_whole [];
    /// Headers: Headers whose values are text.
    headers_of_every_length_arrive [];
}

/// Pads a unique name with `-` to `bytes`; names of two lengths so begin with the same text.
fn long(stage: &Stage, what: &str, bytes: usize) -> String {
    format!("{:-<bytes$}", stage.name(what))
}

/// Reaches the queue by its name and past its exchange. The exchange name is as long; the topic is 40 bytes shorter.
async fn a_name_of_255_bytes_works(stage: &Stage) -> Outcome {
    let (transport, name) = (stage.connect().await?, long(stage, "q", LONGEST_NAME));
    let mut queue = stage.read(&transport, Subscription::new(Source::Queue { name: name.clone() })).await?;
    stage.publish(&transport, &Address::Queue { name: name.clone() }, ["x"]).await?;
    stage.publish(&transport, &Address::Direct { queue: name }, ["y"]).await?;
    assert_eq!(queue.texts(2).await?, ["x", "y"]);
    // A driver makes longer names of a topic: the longest is <topic>_fanout_<32 digits>.
    let (exchange, topic) = (long(stage, "e", LONGEST_NAME), long(stage, "t", LONGEST_NAME - 40));
    let server = Source::Server { exchange: exchange.clone(), topic: topic.clone(), server: "s".to_owned() };
    let mut server = stage.read(&transport, Subscription::new(server)).await?;
    stage.publish(&transport, &Address::Topic { exchange, topic }, ["z"]).await?;
    assert_eq!(server.texts(1).await?, ["z"]);
    Ok(())
}

/// A reader of the first 255 bytes of the name must get nothing.
/// Brokers without a limit may accept the name, and then the whole name must work.
async fn a_longer_name_is_too_large_and_never_cut(stage: &Stage) -> Outcome {
    let (transport, name) = (stage.connect().await?, long(stage, "q", LONGEST_NAME + 1));
    let cut = Source::Queue { name: name[..LONGEST_NAME].to_owned() };
    let mut cut = stage.read(&transport, Subscription::new(cut)).await?;
    let server = Source::Server { exchange: stage.name("e"), topic: name.clone(), server: "s".to_owned() };
    let mut taken = Vec::new();
    for source in [Source::Queue { name: name.clone() }, server] {
        taken.extend(too_large_or_taken_whole(stage.read(&transport, Subscription::new(source)).await));
    }
    let options = PublishOptions::by(stage.soon());
    for to in [Address::Queue { name: name.clone() }, Address::Topic { exchange: stage.name("e"), topic: name }] {
        too_large_or_taken_whole(transport.publish(&to, Message::new("whole"), &options).await);
    }
    for mut whole in taken {
        assert_eq!(whole.texts(1).await?, ["whole"]);
    }
    cut.quiet().await?;
    // The refusal must leave the transport usable.
    stage.publish(&transport, &cut.address(), ["x"]).await?;
    assert_eq!(cut.texts(1).await?, ["x"]);
    Ok(())
}

/// A broker need not have a limit, and then it takes the name as it is.
fn too_large_or_taken_whole<T>(outcome: oslo_messaging::Result<T>) -> Option<T> {
    outcome.map_err(|error| assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}")).ok()
}

/// Each byte is derived from its position, so a frame that is lost, repeated or swapped changes the content.
/// The next message shows that the large one left the connection in order.
async fn a_megabyte_arrives_whole(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let body: Vec<u8> = (0..1u32 << 20).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let options = PublishOptions::by(stage.soon());
    transport.publish(&stage.topic("e", "t"), Message::new(body.clone()), &options).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["and the next one"]).await?;
    let large = server.next().await?;
    assert!(large.message().body == body, "{} bytes came", large.message().body.len());
    large.acknowledge().await?;
    assert_eq!(server.texts(1).await?, ["and the next one"]);
    Ok(())
}

/// Lengths around the AMQP short string (255 bytes), an empty value, text beyond ASCII and control characters.
async fn headers_of_every_length_arrive(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let many = (0..100).fold(Message::new("x"), |message, n| message.with_header(format!("h{n}"), n.to_string()));
    let sent = many
        .with_header("n".repeat(LONGEST_NAME), "of a long name")
        .with_header("255", "v".repeat(255))
        .with_header("256", "v".repeat(256))
        .with_header("ten thousand", "\u{e9}".repeat(5_000))
        .with_header("none", "")
        .with_header("number", "-1")
        .with_header("lines", "a\r\n\tb\u{0}");
    transport.publish(&stage.topic("e", "t"), sent.clone(), &PublishOptions::by(stage.soon())).await?;
    let came = server.next().await?;
    assert_eq!(came.message().headers, sent.headers);
    Ok(came.acknowledge().await?)
}
