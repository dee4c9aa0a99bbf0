//! What a program determines on every bus: how each request ends, where casts and fanouts run.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;

use super::history::{History, Outcome};
use super::model::{Dispatch, binds, reads};
use super::play::play;
use super::program::{Act, FAILURE, Program, Step};
use super::request::{Kind, Method, Request};
use super::timeline::{Sent, Timeline};
use crate::programs::determined::{Determined, Outcomes};
use crate::{Failed, Stage};

impl Determined for Program {
    /// Servers start and stop in acts of their own, and every act settles. No server is killed, no connection is cut
    /// and no sender gives up. A call is impatient exactly if no server can answer it.
    fn determined(self) -> Self {
        let mut program = Self { acts: Vec::new(), servers: self.servers, foreign_senders: self.foreign_senders };
        let (mut up, mut ever) = (BTreeSet::new(), BTreeSet::new());
        for act in self.acts {
            let (sends, moves): (Vec<_>, Vec<_>) = act
                .steps
                .into_iter()
                .filter(|step| !matches!(step, Step::Cut { .. }))
                .partition(|step| matches!(step, Step::Send { .. }));
            let moves: Vec<Step> = moves.into_iter().map(stopped).collect();
            for step in &moves {
                let Some(server) = step.actor() else { continue };
                if matches!(step, Step::Start { .. }) {
                    up.insert(server);
                    ever.insert(server);
                } else {
                    up.remove(&server);
                }
            }
            let reached = |request: &Request| ever.iter().any(|server| binds(&program.servers[*server], request));
            let read = |request: &Request| up.iter().any(|server| reads(&program.servers[*server], request));
            let sends = sends.into_iter().map(|step| patient(step, reached, read));
            let acts = [moves, sends.collect()].map(|steps| Act { steps, settle: true });
            program.acts.extend(acts.into_iter().filter(|act| !act.steps.is_empty()));
        }
        program
    }

    fn outcomes<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Outcomes, Failed>> {
        Box::pin(async move { Ok(outcomes(self, &play(stage, self).await?)) })
    }
}

/// A hurried stop or a kill may lose requests, a stop does not.
/// Every other step stays as it is.
fn stopped(step: Step) -> Step {
    match step {
        Step::Hurry { actor: server } | Step::Kill { actor: server } => Step::Stop { actor: server },
        step => step,
    }
}

/// No request is given up. A call that must time out is impatient, so that it does not cost a whole budget.
fn patient(step: Step, reached: impl Fn(&Request) -> bool, read: impl Fn(&Request) -> bool) -> Step {
    let Step::Send { sender, message: mut request } = step else { return step };
    let (reached, read) = (reached(&request), read(&request));
    let returned = request.mandatory && !reached;
    request.given_up = false;
    request.impatient = request.kind == Kind::Call && !returned && !(reached && read);
    Step::Send { sender, message: request }
}

/// One entry for each request, each execution and each life, named without step numbers.
/// The n-th cast and the n-th call of a sender are counted apart, because a sender makes them concurrently.
fn outcomes(program: &Program, history: &History) -> Outcomes {
    let timeline = Timeline::new(program, history);
    let (mut outcomes, mut sent_before) = (Outcomes::new(), BTreeMap::new());
    for sent in &timeline.sent {
        // Step numbers depend on the schedule; the order of one sender's casts, and of its calls, does not.
        let call = sent.request.kind == Kind::Call;
        let nth = sent_before.entry((sent.sender, call)).or_insert(0);
        *nth += 1;
        let kind = if call { "call" } else { "cast" };
        let name = format!("{kind} {nth} of sender {}, {}", sent.sender, sent.request);
        if let Some(ended) = ended(&timeline, sent) {
            outcomes.insert(format!("{name}, ended"), ended);
        }
        if let Some(ran) = ran(&timeline, sent) {
            outcomes.insert(format!("{name}, ran"), ran);
        }
    }
    for (server, lives) in timeline.lives.iter().enumerate() {
        for (life, outcome) in
            lives.iter().enumerate().flat_map(|(life, at)| at.outcomes.map(|outcome| (life, outcome)))
        {
            let how = outcome.map_or("never", |outcome| if *outcome == Outcome::Done { "done" } else { "failed" });
            let entry = outcomes.entry(format!("life {life} of server {server}")).or_default();
            entry.push_str(how);
            entry.push(' ');
        }
    }
    outcomes
}

/// How a request ended; `None` if that depends on which server took it.
/// A reply is compared by whether it belongs to its request, not by which server of the queue wrote it.
fn ended(timeline: &Timeline<'_>, sent: &Sent<'_>) -> Option<String> {
    if sent.request.kind == Kind::Call && dispatched(timeline, sent, up_then(timeline, sent)).len() > 1 {
        return None;
    }
    let text = match sent.outcome? {
        Outcome::Done => "done",
        Outcome::Undeliverable => "undeliverable",
        Outcome::TimedOut => "timed out",
        Outcome::GivenUp => "given up",
        Outcome::Disconnected { .. } | Outcome::Broken { .. } => "failed otherwise",
        Outcome::Returned { server, number } => {
            let own = *number == sent.number && timeline.readers(sent.request).any(|reader| reader == *server);
            if own { "returned" } else { "returned what is not its own" }
        }
        Outcome::Raised { class, message } if class == FAILURE => {
            let own = *message == sent.number.to_string() && sent.request.method == Method::Fail;
            if own { "raised" } else { "raised what is not its own" }
        }
        Outcome::Raised { class, .. } => return Some(format!("raised {class}")),
    };
    Some(text.to_owned())
}

/// Where a request ran; `None` if that depends on which server took it. The bus chooses among the
/// servers of one queue, but a fanout runs at each. Servers that share the queue of a request are named
/// together, since either bus may choose another one.
fn ran(timeline: &Timeline<'_>, sent: &Sent<'_>) -> Option<String> {
    let takers: Vec<usize> = match sent.request.kind {
        Kind::Call => up_then(timeline, sent).collect(),
        // A cast may wait for a server that starts later.
        Kind::Cast => timeline.readers(sent.request).collect(),
        Kind::Fanout => Vec::new(),
    };
    let free = dispatched(timeline, sent, takers.into_iter()).len() > 1;
    // Whether a call that timed out runs, or expires first, depends on timing.
    if free || sent.outcome == Some(&Outcome::TimedOut) {
        return None;
    }
    let place = |server: usize| {
        let reads = timeline.readers(sent.request).any(|reader| reader == server);
        if reads && sent.request.kind != Kind::Fanout {
            "at one of its servers".to_owned()
        } else {
            format!("at server {server}")
        }
    };
    let mut places: Vec<String> = timeline
        .runs_of(sent.number)
        .map(|ran| place(ran.run.server) + if ran.run.redelivered { " again" } else { "" })
        .collect();
    places.sort();
    Some(if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") })
}

/// The servers that read the queue of a request while it was sent.
/// A server that starts or stops in the meantime is left out.
fn up_then<'a>(timeline: &'a Timeline<'_>, sent: &'a Sent<'_>) -> impl Iterator<Item = usize> + 'a {
    timeline.readers(sent.request).filter(|server| timeline.surely_up(*server, sent.begun, sent.ended))
}

/// The distinct ways in which `servers` dispatch a request.
/// If there is more than one, the result depends on the bus and is left out of the comparison.
fn dispatched(timeline: &Timeline<'_>, sent: &Sent<'_>, servers: impl Iterator<Item = usize>) -> Vec<Dispatch> {
    let mut all = Vec::new();
    for dispatch in servers.map(|server| timeline.dispatch(server, sent.request)) {
        if !all.contains(&dispatch) {
            all.push(dispatch);
        }
    }
    all
}
