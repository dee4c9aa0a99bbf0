//! Where the connections are cut, and how. Pure.

pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;

use crate::wire::{Concern, Frame, frames};
use testkit::proxy::{At, Direction, Fault};
use testkit::workload::dice::Dice;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    Client,
    FirstServer,
    SecondServer,
}

/// Who else is cut at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    Alone,
    All,
}

/// One run: where it is cut, how, and what its servers do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) party: Party,
    pub(crate) at: At,
    pub(crate) fault: Fault,
    pub(crate) reach: Reach,
    /// Whether the servers refuse what the broker delivers a second time.
    pub(crate) refusing: bool,
}

/// What went one way on one connection of a run in which nothing was cut.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) party: Party,
    pub(crate) connection: usize,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

/// `count` points: four of five within a frame of a publish, a confirm, a delivery or an acknowledgement, as many of each
/// as there are of the others; the fifth within any other frame.
pub(crate) fn chosen(streams: &[Stream], count: usize, dice: &mut Dice) -> Vec<Point> {
    let mut frames_of: Vec<Vec<(&Stream, Frame)>> = vec![Vec::new(); Concern::ALL.len()];
    for stream in streams {
        let whole: Vec<_> = frames(&stream.bytes).into_iter().filter(|frame| frame.end <= stream.bytes.len()).collect();
        for concern in Concern::ALL {
            let its: Vec<_> = whole.iter().filter(|frame| frame.concern(stream.direction) == concern).collect();
            // One confirm may stand for several, and so may an acknowledgement: another run may not have the last ones.
            let sure = match concern {
                Concern::Confirm | Concern::Acknowledgement => its.len().div_ceil(2),
                Concern::Publish | Concern::Delivery | Concern::Other => its.len(),
            };
            frames_of[concern as usize].extend(its[..sure].iter().map(|frame| (stream, **frame)));
        }
    }
    let mut points = Vec::with_capacity(count);
    for index in 0..count {
        let choices = &frames_of[index % frames_of.len()];
        let (stream, frame) = choices[dice.below(choices.len())];
        let offset = frame.start + 1 + dice.below(frame.end - frame.start - 1);
        points.push(stream.cut_at(offset, dice));
    }
    points
}

/// One offset within each frame of every stream, and one behind it. Of a frame its reader can do nothing with a part, so these
/// stand for all others.
pub(crate) fn each_frame(streams: &[Stream], dice: &mut Dice) -> Vec<Point> {
    let mut points = Vec::new();
    for stream in streams {
        for frame in frames(&stream.bytes).into_iter().filter(|frame| frame.end <= stream.bytes.len()) {
            let within = frame.start + 1 + dice.below(frame.end - frame.start - 1);
            points.extend([within, frame.end].map(|offset| stream.cut_at(offset, dice)));
        }
    }
    points
}

/// Every offset of every stream.
pub(crate) fn every(streams: &[Stream], dice: &mut Dice) -> Vec<Point> {
    let mut points = Vec::new();
    for stream in streams {
        points.extend((0..stream.bytes.len()).map(|offset| stream.cut_at(offset, dice)));
    }
    points
}

impl Stream {
    fn cut_at(&self, offset: usize, dice: &mut Dice) -> Point {
        Point {
            party: self.party,
            at: At { connection: self.connection, direction: self.direction, offset },
            fault: dice.one_of(&[Fault::Cut, Fault::Reset]),
            reach: dice.one_of(&[Reach::Alone, Reach::Alone, Reach::All]),
            refusing: dice.one_of(&[true, false]),
        }
    }
}

impl Point {
    /// Whether the connections of `party` are cut.
    pub(crate) fn hurts(&self, party: Party) -> bool {
        self.party == party || self.reach == Reach::All
    }
}

impl Party {
    pub(crate) const ALL: [Self; 3] = [Self::Client, Self::FirstServer, Self::SecondServer];
}

/// `first-server.1.from.2087.reset.all.refusing`, which [`FromStr`] reads.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let party = match self.party {
            Party::Client => "client",
            Party::FirstServer => "first-server",
            Party::SecondServer => "second-server",
        };
        let direction = match self.at.direction {
            Direction::ToBroker => "to",
            Direction::FromBroker => "from",
        };
        let fault = if self.fault == Fault::Reset { "reset" } else { "cut" };
        let reach = if self.reach == Reach::All { "all" } else { "alone" };
        let refusing = if self.refusing { "refusing" } else { "running" };
        let At { connection, offset, .. } = self.at;
        write!(f, "{party}.{connection}.{direction}.{offset}.{fault}.{reach}.{refusing}")
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not a point such as client.0.to.2087.cut.alone.refusing: '{text}'");
        let words: Vec<&str> = text.split('.').collect();
        let [party, connection, direction, offset, fault, reach, refusing] = words[..] else { return Err(wrong()) };
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self {
            party: match party {
                "client" => Party::Client,
                "first-server" => Party::FirstServer,
                "second-server" => Party::SecondServer,
                _ => return Err(wrong()),
            },
            at: At {
                connection: number(connection)?,
                direction: match direction {
                    "to" => Direction::ToBroker,
                    "from" => Direction::FromBroker,
                    _ => return Err(wrong()),
                },
                offset: number(offset)?,
            },
            fault: match fault {
                "cut" => Fault::Cut,
                "reset" => Fault::Reset,
                _ => return Err(wrong()),
            },
            reach: match reach {
                "alone" => Reach::Alone,
                "all" => Reach::All,
                _ => return Err(wrong()),
            },
            refusing: match refusing {
                "refusing" => true,
                "running" => false,
                _ => return Err(wrong()),
            },
        })
    }
}
