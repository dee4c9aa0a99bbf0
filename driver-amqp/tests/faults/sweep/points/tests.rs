//! Points on streams that are put together here.

use super::{Party, Point, Stream, chosen, each_frame, every};
use crate::wire::{Concern, frame_at, frames};
use testkit::proxy::Direction::{self, FromBroker, ToBroker};
use testkit::workload::dice::Dice;

fn method(class: u8, number: u8) -> Vec<u8> {
    vec![1, 0, 1, 0, 0, 0, 6, 0, class, 0, number, b'a', b'b', 0xCE]
}

fn stream(party: Party, direction: Direction, methods: &[(u8, u8)]) -> Stream {
    let bytes = methods.iter().flat_map(|&(class, number)| method(class, number)).collect();
    Stream { party, connection: 0, direction, bytes }
}

fn streams() -> Vec<Stream> {
    vec![
        stream(Party::Client, ToBroker, &[(20, 10), (60, 40), (60, 40), (60, 80)]),
        stream(Party::Client, FromBroker, &[(20, 11), (60, 80), (60, 60)]),
    ]
}

pub(crate) fn four_of_five_are_within_what_concerns_a_message() {
    let streams = streams();
    let points = chosen(&streams, 100, &mut Dice::new(7));
    let mut counts = [0; Concern::ALL.len()];
    for point in &points {
        let stream = streams.iter().find(|stream| stream.direction == point.at.direction).expect("it is one of them");
        let frames = frames(&stream.bytes);
        let frame = frame_at(&frames, point.at.offset).expect("it is within the stream");
        assert!(frame.is_torn_by(point.at.offset), "{point}");
        counts[frame.concern(point.at.direction) as usize] += 1;
    }
    assert_eq!(counts, [20; Concern::ALL.len()]);
}

pub(crate) fn the_same_seed_makes_the_same_points_and_another_others() {
    let points = |seed| chosen(&streams(), 50, &mut Dice::new(seed));
    assert_eq!(points(1), points(1));
    assert_ne!(points(1), points(2));
    let refusing = points(1).iter().filter(|point| point.refusing).count();
    assert!((10..40).contains(&refusing), "{refusing}");
}

pub(crate) fn every_offset_of_every_stream_is_one_point() {
    let points = every(&streams(), &mut Dice::new(1));
    assert_eq!(points.len(), 7 * 14);
    let mut places: Vec<_> = points.iter().map(|point| (point.at.direction, point.at.offset)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 7 * 14);
}

pub(crate) fn each_frame_is_cut_once_within_and_once_behind_it() {
    let streams = streams();
    let points = each_frame(&streams, &mut Dice::new(1));
    assert_eq!(points.len(), 2 * 7);
    for (pair, number) in points.chunks(2).zip((0..4).chain(0..3)) {
        let (start, end) = (number * 14, number * 14 + 14);
        assert!((start + 1..end).contains(&pair[0].at.offset) && pair[1].at.offset == end, "{pair:?}");
    }
}

pub(crate) fn a_point_is_read_as_it_is_printed() {
    for point in every(&streams(), &mut Dice::new(3)) {
        assert_eq!(point.to_string().parse(), Ok(point));
    }
    for wrong in ["", "client", "client.0.to.x.cut.alone.refusing", "nothing.0.to.1.cut.alone.refusing"] {
        assert!(wrong.parse::<Point>().is_err(), "{wrong}");
    }
}
