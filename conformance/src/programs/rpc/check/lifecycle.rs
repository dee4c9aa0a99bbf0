//! Starts and stops must succeed, connections must come back, and nothing may run at a server that has ended.

use crate::Budget;
use crate::programs::Violation;
use crate::programs::rpc::history::Outcome;
use crate::programs::rpc::rules;
use crate::programs::rpc::timeline::Timeline;

/// Checks starts, stops and cuts, and that no method starts after the end of its server.
/// A run counts as late if it began when its server had surely ended.
pub(super) fn check(timeline: &Timeline<'_>, _: Budget, violations: &mut Vec<Violation>) {
    for (server, lives) in timeline.lives.iter().enumerate() {
        for (rule, life, outcome) in lives
            .iter()
            .flat_map(|life| [(&rules::STARTS, life, life.outcomes[0]), (&rules::STOPS, life, life.outcomes[1])])
        {
            // A hurried stop may time out.
            let in_time =
                |outcome: &Outcome| *outcome == Outcome::Done || (life.hurried && *outcome == Outcome::TimedOut);
            if let Some(outcome) = outcome.filter(|outcome| !in_time(outcome)) {
                violations.push(Violation::new(rule, format_args!("server {server}: {outcome:?}")));
            }
        }
    }
    violations.extend(timeline.cuts.unrestored().map(|how| Violation::new(&rules::BACK, how)));
    for ran in &timeline.runs {
        let server = ran.run.server;
        if !timeline.perhaps_up(server, ran.at, ran.at) {
            let how = format_args!("message {} ran at server {server} when it had ended", ran.run.number);
            violations.push(Violation::new(&rules::NOTHING_LATER, how));
        }
    }
}
