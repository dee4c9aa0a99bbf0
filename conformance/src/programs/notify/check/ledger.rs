//! The counters of the listeners agree with the events that were sent.

use super::limit::dropped_by_queue;
use crate::programs::Violation;
use crate::programs::notify::history::Letter;
use crate::programs::notify::program::Reads;
use crate::programs::notify::timeline::{Copy, Sent, Timeline};
use crate::programs::notify::{divergence, rules};

/// Skipped if the program did not reach its end. The upper bound holds only
/// without kills and cuts, which redeliver events.
pub(super) fn check(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let Some(counted) = timeline.counted else { return };
    let mut broken = |how: String| violations.push(Violation::new(&rules::SUMS, how));
    let (dead, lying): (Vec<&Letter>, Vec<&Letter>) =
        timeline.letters.iter().copied().partition(|letter| letter.dead.is_some());
    if (dead.len() as u64) < counted.dead {
        broken(format!("{} dead letters were counted, and {} are there", counted.dead, dead.len()));
    }
    // Events deleted with the private queue of a tap are not counted.
    if timeline.program.listeners.iter().any(|listener| listener.reads == Reads::Private) {
        return;
    }
    let ended = counted.handled + counted.dead + counted.dropped + lying.len() as u64;
    let (least, most) = arrived(timeline);
    let killed = timeline.lives.iter().flatten().any(|life| life.killed);
    if ended < least || (ended > most && !killed && timeline.cuts.since(0) == 0) {
        broken(format!(
            "{least} to {most} copies arrived, and {ended} are accounted for: {counted:?}, and {} lie in their queues",
            lying.len()
        ));
    }
}

/// How many copies surely reached queues that stay, without those that a queue may have dropped; and how many may have.
fn arrived(timeline: &Timeline<'_>) -> (u64, u64) {
    let mut copies = timeline.shared();
    copies.insert(Copy::Shared(Reads::Shared));
    let (mut least, mut most) = (0, 0);
    for sent in &timeline.sent {
        for copy in &copies {
            let confirmed = sent.outcome.is_some_and(Result::is_ok);
            let counted = !timeline
                .readers(copy, sent.event)
                .iter()
                .any(|reader| divergence::COUNTS_NOTHING.holds_for(&timeline.program.listeners[*reader]));
            least += u64::from(confirmed && counted && surely(timeline, copy, sent));
            most += u64::from(timeline.perhaps_bound(copy, sent));
        }
    }
    (least, most)
}

/// Whether this copy surely reached its queue and was not dropped there.
fn surely(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> bool {
    timeline.surely_bound(copy, sent) && !dropped_by_queue(timeline, copy, sent)
}
