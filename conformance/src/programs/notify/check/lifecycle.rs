//! Starts, stops, cuts and sends must succeed, and nothing may be handled at a listener that has ended.

use crate::programs::Violation;
use crate::programs::notify::rules;
use crate::programs::notify::timeline::Timeline;

/// Checks starts, stops, cuts and sends, and that no handler runs after the end of its listener.
pub(super) fn check(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    for (listener, lives) in timeline.lives.iter().enumerate() {
        for (rule, error) in lives.iter().flat_map(|life| [&rules::STARTS, &rules::STOPS].into_iter().zip(&life.errors))
        {
            if let Some(error) = error {
                violations.push(Violation::new(rule, format_args!("listener {listener}: {error}")));
            }
        }
    }
    violations.extend(timeline.cuts.unrestored().map(|how| Violation::new(&rules::BACK, how)));
    for sent in &timeline.sent {
        if let Some(Err(error)) = sent.outcome {
            violations.push(Violation::new(&rules::SENT, format_args!("{}: {error}", sent.name())));
        }
    }
    for ran in &timeline.runs {
        if timeline.life(ran).is_none_or(|life| life.ended < ran.at) {
            let how = format_args!("listener {} had event {:?} when it had ended", ran.listener, ran.heard.number);
            violations.push(Violation::new(&rules::NOTHING_LATER, how));
        }
    }
}
