//! The frame reader on a stream that splits frames, ends or is full.
//!
//! These tests are about what a read returns and when it waits; what becomes of a frame is tested beside.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::timeout;

use crate::frames::check::build::*;
use crate::frames::parse::head::HEARTBEAT;
use crate::frames::{Framed, Notices, Violation};

/// lapin must never see a part of a method or content header, because it could not be repaired any more.
#[tokio::test(start_paused = true)]
async fn a_torn_frame_is_held_back_until_it_is_whole() {
    let (ours, mut theirs) = duplex(1 << 16);
    let mut framed = Framed::new(ours, Arc::default());
    let sent = [deliver(1, 1), headers(1, 100, &[])].concat();
    let mut buffer = [0; 1_000];
    let last = sent.len() - 1;
    theirs.write_all(&sent[..last]).await.unwrap();
    assert_eq!(framed.read(&mut buffer).await.unwrap(), deliver(1, 1).len());
    assert!(timeout(Duration::from_secs(1), framed.read(&mut buffer)).await.is_err(), "nothing more is whole");
    theirs.write_all(&sent[last..]).await.unwrap();
    assert_eq!(framed.read(&mut buffer).await.unwrap(), headers(1, 100, &[]).len());
    // A body is not held back.
    theirs.write_all(&body(1, &[7; 100])[..50]).await.unwrap();
    assert_eq!(framed.read(&mut buffer).await.unwrap(), 50);
}

/// A read that returns nothing would look like the end of the stream. The caller's buffer holds one byte here.
#[tokio::test]
async fn a_heartbeat_stands_for_what_was_taken_out_also_where_there_is_hardly_room() {
    let (ours, mut theirs) = duplex(1 << 16);
    let notices = Arc::<Notices>::default();
    let mut framed = Framed::new(ours, Arc::clone(&notices));
    for frame in returned(1, b"one", b"body") {
        theirs.write_all(&frame).await.unwrap();
        let mut came = Vec::new();
        while came.len() < HEARTBEAT.len() {
            let mut one = [0];
            assert_eq!(framed.read(&mut one).await.unwrap(), 1);
            came.extend(one);
        }
        assert_eq!(came, HEARTBEAT);
    }
    assert_eq!(notices.take_returned(1).len(), 1);
    assert_eq!(notices.take_returned(1).len(), 0, "each is given out once");
}

/// Frames in front of a violation were valid, so their publishers get their confirms.
#[tokio::test]
async fn what_is_wrong_ends_the_stream_behind_what_was_right() {
    let (ours, mut theirs) = duplex(1 << 16);
    let mut framed = Framed::new(ours, Arc::default());
    theirs.write_all(&[ack(1, 1), b"HTTP".to_vec()].concat()).await.unwrap();
    let mut buffer = [0; 1_000];
    assert_eq!(framed.read(&mut buffer).await.unwrap(), ack(1, 1).len());
    let error = framed.read(&mut buffer).await.unwrap_err();
    let violation = error.get_ref().and_then(|error| error.downcast_ref::<Violation>());
    assert_eq!(violation, Some(&Violation::FrameType(b'H')));
}

/// The torn frame is dropped: nothing can complete it.
#[tokio::test]
async fn a_stream_that_ends_within_a_frame_has_ended() {
    let (ours, mut theirs) = duplex(1 << 16);
    let mut framed = Framed::new(ours, Arc::default());
    theirs.write_all(&deliver(1, 1)[..9]).await.unwrap();
    drop(theirs);
    assert_eq!(framed.read(&mut [0; 100]).await.unwrap(), 0);
}

#[tokio::test]
/// The driver repairs only what the broker sends; lapin's frames go out as they are.
async fn what_is_written_is_not_touched() {
    let (ours, mut theirs) = duplex(1 << 16);
    let mut framed = Framed::new(ours, Arc::default());
    framed.write_all(b"AMQP\0\0\x09\x01 and more").await.unwrap();
    let mut came = [0; 17];
    theirs.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"AMQP\0\0\x09\x01 and more");
}

/// A channel number is reused after a close, and delivery tags begin at 1 again.
#[tokio::test]
async fn what_was_reported_of_a_channel_is_past_when_its_number_is_used_again() {
    let (ours, mut theirs) = duplex(1 << 16);
    let notices = Arc::<Notices>::default();
    let mut framed = Framed::new(ours, Arc::clone(&notices));
    let bad = [deliver(1, 1), header(1, 0, 1 << 15, &[])].concat();
    let opened = method(1, (20, 11), &[&long(b"")]);
    theirs.write_all(&[&returned(1, b"one", b"")[..], std::slice::from_ref(&bad)].concat().concat()).await.unwrap();
    let mut buffer = [0; 1_000];
    let _ = framed.read(&mut buffer).await.unwrap();
    theirs.write_all(&[opened, bad].concat()).await.unwrap();
    let _ = framed.read(&mut buffer).await.unwrap();
    assert_eq!(notices.take_returned(1).len(), 0);
    assert_eq!(notices.take_undecodable(2, 1), None, "of another channel");
    assert!(notices.take_undecodable(1, 1).is_some());
    assert_eq!(notices.take_undecodable(1, 1), None, "it is reported once");
}
