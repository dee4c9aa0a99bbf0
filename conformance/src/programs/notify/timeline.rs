//! A history in terms of the model: which event was sent when, which listener was up when, and which handler got what.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::history::{Answer, Counted, Happened, Heard, History, Letter};
use super::model::{binds, reads, wants};
use super::program::{Listener, Program, Reads, Step};
use super::{Event, divergence};
use crate::programs::acts::cuts::Cuts;

/// The position of what did not happen: after every event.
pub(super) const NEVER: usize = usize::MAX;

/// A history in terms of events and listeners. Times are positions in its list.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    pub(super) program: &'a Program,
    /// In the order in which the sends began.
    pub(super) sent: Vec<Sent<'a>>,
    /// The lives of each listener, by its index, in the order of their starts.
    pub(super) lives: Vec<Vec<Life>>,
    /// In the order in which the handlers started; a batch is one entry for each event.
    pub(super) runs: Vec<Ran<'a>>,
    /// The deliveries of each event to the readers of each copy, in order.
    chains: BTreeMap<(Copy, usize), Vec<Ran<'a>>>,
    /// What was in the queues at the end, dead letters included.
    pub(super) letters: Vec<&'a Letter>,
    /// `None` until the program has ended.
    pub(super) counted: Option<Counted>,
    pub(super) cuts: Cuts,
}

/// An event that was sent, with what its notifier learned of it.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    /// The number of its step, which its payload carries.
    pub(super) number: usize,
    pub(super) notifier: usize,
    pub(super) event: &'a Event,
    /// A queue that was bound before this position surely gets the event.
    pub(super) begun: usize,
    /// A queue that was bound after this position does not get it. [`NEVER`] if the send did not end.
    pub(super) ended: usize,
    /// `None` while the send is in progress.
    pub(super) outcome: Option<&'a Result<(), String>>,
    /// When it was confirmed; until then, when the send began.
    pub(super) when: Instant,
}

/// One time that a listener was up: surely from `started` to `stopping`, perhaps from `starting` to `ended`.
#[derive(Debug)]
pub(super) struct Life {
    /// The position at which its start began. It may receive events from here on.
    pub(super) starting: usize,
    /// The position at which its start succeeded. It surely receives events from here on.
    pub(super) started: usize,
    /// The position at which its stop or kill began; [`NEVER`] while it is up.
    pub(super) stopping: usize,
    /// The position at which its stop or kill had ended, or [`NEVER`]. No handler may run after it.
    pub(super) ended: usize,
    /// Whether it was dropped instead of stopped.
    pub(super) killed: bool,
    /// When its start ended: the batch window of events that waited begins then.
    pub(super) when: Instant,
    /// The errors of its start and of its stop.
    pub(super) errors: [Option<String>; 2],
}

/// One event in one call of a handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ran<'a> {
    pub(super) listener: usize,
    /// The index in the lives of its listener.
    pub(super) life: usize,
    /// The position at which the handler started. All events of a batch share it.
    pub(super) at: usize,
    /// When the handler started, by which the wait for a batch is measured.
    pub(super) when: Instant,
    /// How many events the call had; one without batches.
    pub(super) together: usize,
    pub(super) heard: &'a Heard,
    /// The position of the handler's return and what its result means at its listener; `None` if it was interrupted.
    pub(super) answer: Option<(usize, Answer)>,
    /// What the handler returned, before [`divergence::effect`] says what that means.
    pub(super) said: Option<Answer>,
}

/// The copy of an event in one queue: a queue that its readers share, or the private queue of one life of a tap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Copy {
    Shared(Reads),
    Private { listener: usize, life: usize },
}

impl<'a> Timeline<'a> {
    /// Reads the history once. A run belongs to the last life of its listener at that position.
    pub(super) fn new(program: &'a Program, history: &'a History) -> Self {
        let lives = program.listeners.iter().map(|_| Vec::new()).collect();
        let mut timeline = Self {
            program,
            sent: Vec::new(),
            lives,
            runs: Vec::new(),
            chains: BTreeMap::new(),
            letters: Vec::new(),
            counted: None,
            cuts: Cuts::default(),
        };
        let mut answers = BTreeMap::new();
        for (at, (when, happened)) in history.events.iter().enumerate() {
            match happened {
                Happened::Begun(number) => timeline.begun(*number, &history.steps[*number], at, *when),
                Happened::Ended { step, outcome } => {
                    timeline.ended(*step, &history.steps[*step], outcome, (at, *when));
                }
                Happened::Ran { listener, heard } => {
                    let life = timeline.lives[*listener].len().saturating_sub(1);
                    let (listener, when, together, answer) = (*listener, *when, heard.len(), None);
                    let ran = |heard| Ran { listener, life, at, when, together, heard, answer, said: None };
                    timeline.runs.extend(heard.iter().map(ran));
                }
                Happened::Answered { run, answer } => {
                    answers.insert(*run, (at, *answer));
                }
                Happened::Found(letter) => timeline.letters.push(letter),
                Happened::Counted(counted) => timeline.counted = Some(*counted),
                Happened::Cutting(number) => timeline.cuts.begin(*number, at),
            }
        }
        for ran in &mut timeline.runs {
            let listener = &program.listeners[ran.listener];
            if let Some((at, answer)) = answers.get(&ran.at) {
                ran.answer = Some((*at, divergence::effect(listener, *answer)));
                ran.said = Some(*answer);
            }
        }
        let mut chains = BTreeMap::<_, Vec<_>>::new();
        for ran in &timeline.runs {
            if let Some(number) = ran.heard.number {
                chains.entry((timeline.copy(ran), number)).or_default().push(*ran);
            }
        }
        timeline.chains = chains;
        timeline
    }

    /// A stop of a listener without a life is ignored.
    fn begun(&mut self, number: usize, step: &'a Step, at: usize, when: Instant) {
        match step {
            Step::Send { sender: notifier, message: event } => {
                let (notifier, ended) = (*notifier, NEVER);
                self.sent.push(Sent { number, notifier, event, begun: at, ended, outcome: None, when });
            }
            Step::Start { actor: listener } => self.lives[*listener].push(Life {
                starting: at,
                started: NEVER,
                stopping: NEVER,
                ended: NEVER,
                killed: false,
                when,
                errors: [None, None],
            }),
            Step::Stop { actor: listener } | Step::Hurry { actor: listener } | Step::Kill { actor: listener } => {
                if let Some(life) = self.lives[*listener].last_mut() {
                    (life.stopping, life.killed) = (at, matches!(step, Step::Kill { .. }));
                }
            }
            // `Happened::Cutting` records when the connections are cut, which is later.
            Step::Cut { .. } => {}
        }
    }

    /// Gives a send its result, a life its ends and errors, and a cut its end.
    fn ended(&mut self, number: usize, step: &Step, outcome: &'a Result<(), String>, (at, when): (usize, Instant)) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
            (sent.ended, sent.outcome) = (at, Some(outcome));
            sent.when = when;
        }
        if matches!(step, Step::Cut { .. }) {
            self.cuts.end(number, at, outcome.as_ref().err().cloned());
        }
        let Some(life) = step.actor().and_then(|listener| self.lives[listener].last_mut()) else { return };
        let error = outcome.as_ref().err().cloned();
        if matches!(step, Step::Start { .. }) {
            life.when = when;
            // A listener that failed to start is never up.
            life.started = if error.is_none() { at } else { NEVER };
            life.errors[0] = error;
        } else {
            (life.ended, life.errors[1]) = (at, error);
        }
    }

    /// `None` if the handler ran at a listener that was never started.
    pub(super) fn life(&self, ran: &Ran<'_>) -> Option<&Life> {
        self.lives[ran.listener].get(ran.life)
    }

    pub(super) fn listener(&self, ran: &Ran<'_>) -> &'a Listener {
        &self.program.listeners[ran.listener]
    }

    /// The listeners whose last start succeeded and that no stop or kill has ended since.
    pub(super) fn running(&self) -> BTreeSet<usize> {
        let up = |lives: &[Life]| lives.last().is_some_and(|life| life.started != NEVER && life.stopping == NEVER);
        (0..self.lives.len()).filter(|listener| up(&self.lives[*listener])).collect()
    }

    /// `None` for a message without a number, or with one that no step has.
    pub(super) fn sent(&self, number: Option<usize>) -> Option<&Sent<'a>> {
        self.sent.iter().find(|sent| Some(sent.number) == number)
    }

    /// Each life of a tap has a copy of its own; other listeners share one.
    pub(super) fn copy(&self, ran: &Ran<'_>) -> Copy {
        match &self.listener(ran).reads {
            Reads::Private => Copy::Private { listener: ran.listener, life: ran.life },
            reads => Copy::Shared(reads.clone()),
        }
    }

    /// Every copy that an event can have in this program.
    pub(super) fn copies(&self) -> BTreeSet<Copy> {
        let taps =
            self.lives.iter().enumerate().filter(|(tap, _)| self.program.listeners[*tap].reads == Reads::Private);
        let taps =
            taps.flat_map(|(listener, lives)| (0..lives.len()).map(move |life| Copy::Private { listener, life }));
        let shared = self.program.listeners.iter().filter(|listener| listener.reads != Reads::Private);
        taps.chain(shared.map(|listener| Copy::Shared(listener.reads.clone()))).collect()
    }

    /// The copies in queues that readers share.
    pub(super) fn shared(&self) -> BTreeSet<Copy> {
        self.copies().into_iter().filter(|copy| matches!(copy, Copy::Shared(_))).collect()
    }

    /// The listeners that read the queue of this copy, whether they are up or not.
    pub(super) fn readers(&self, copy: &Copy, event: &Event) -> Vec<usize> {
        match copy {
            Copy::Private { listener, .. } => vec![*listener],
            Copy::Shared(copy) => {
                let all = self.program.listeners.iter().enumerate();
                all.filter(|(_, listener)| reads(listener, copy, event)).map(|(place, _)| place).collect()
            }
        }
    }

    /// Whether the event surely reached the queue of this copy.
    pub(super) fn surely_bound(&self, copy: &Copy, sent: &Sent<'_>) -> bool {
        self.bound(
            copy,
            sent,
            |life| life.started < sent.begun && sent.ended < life.stopping,
            |other| other.number == sent.number || other.ended < sent.begun,
        )
    }

    /// Whether the event may have reached the queue of this copy.
    pub(super) fn perhaps_bound(&self, copy: &Copy, sent: &Sent<'_>) -> bool {
        self.bound(
            copy,
            sent,
            |life| life.starting < sent.ended && sent.begun < life.ended,
            |other| other.begun < sent.ended,
        )
    }

    /// The common part of both: `during` selects lives of listeners, `declared`
    /// the events whose publishers declared the queue.
    fn bound(
        &self,
        copy: &Copy,
        sent: &Sent<'_>,
        during: impl Fn(&Life) -> bool,
        declared: impl Fn(&Sent<'_>) -> bool,
    ) -> bool {
        let fed = |listener: usize| binds(&self.program.listeners[listener], sent.event);
        match copy {
            Copy::Private { listener, life } => fed(*listener) && during(&self.lives[*listener][*life]),
            Copy::Shared(reads) => {
                // A binding stays when its listener ends.
                let stays = |life: &Life| during(&Life { stopping: NEVER, ended: NEVER, ..life.bare() });
                let listened = |listener: usize| fed(listener) && self.lives[listener].iter().any(stays);
                let made = |other: &Sent<'_>| {
                    !other.event.without_queue && other.event.goes_where(sent.event) && declared(other)
                };
                self.readers(copy, sent.event).into_iter().any(listened)
                    || (*reads == Reads::Shared && self.sent.iter().any(made))
            }
        }
    }

    /// The deliveries of one event to the readers of a copy, in order.
    pub(super) fn chain(&self, copy: &Copy, number: usize) -> &[Ran<'a>] {
        self.chains.get(&(copy.clone(), number)).map_or(&[], Vec::as_slice)
    }

    /// Whether the handler failed in the last try that its policy allows.
    pub(super) fn is_final(&self, ran: &Ran<'_>) -> bool {
        let failed = ran.answer.is_some_and(|(_, answer)| answer == Answer::Failed);
        failed && ran.heard.attempt >= self.listener(ran).tries
    }

    /// Whether connections were lost after the send began and before `at`. An unconfirmed event may then be in the
    /// queue twice, and an acknowledged one may come again.
    pub(super) fn lost_since(&self, sent: &Sent<'_>, at: usize) -> bool {
        self.cuts.between(sent.begun, at)
    }

    /// Whether `done` holds for the last delivery of this copy; over a loss of connections, for any delivery of it.
    pub(super) fn is_done(&self, copy: &Copy, number: usize, done: impl Fn(&Ran<'_>) -> bool) -> bool {
        let chain = self.chain(copy, number);
        let lost = self.sent(Some(number)).is_some_and(|sent| self.lost_since(sent, NEVER));
        // The queue may hold the event twice, and the later delivery may be cut short after the other one was handled.
        if lost { chain.iter().any(done) } else { chain.last().is_some_and(done) }
    }

    /// The copies that must be handled or given up, each with the number of its event. The private queue of a tap is
    /// deleted with the events that it has not handled.
    pub(super) fn owed(&self) -> Vec<(Copy, usize)> {
        let copies = self.copies();
        let confirmed = self.sent.iter().filter(|sent| sent.outcome.is_some_and(Result::is_ok));
        let owed = confirmed.flat_map(|sent| copies.iter().map(move |copy| (copy, sent))).filter(|(copy, sent)| {
            let all_want = |reader: &usize| wants(&self.program.listeners[*reader], sent.event);
            let readers = self.readers(copy, sent.event);
            !readers.is_empty() && readers.iter().all(all_want) && self.surely_bound(copy, sent) && self.stays(copy)
        });
        owed.map(|(copy, sent)| (copy.clone(), sent.number)).collect()
    }

    /// Whether the queue of the copy exists when everything has settled.
    fn stays(&self, copy: &Copy) -> bool {
        match copy {
            Copy::Shared(_) => true,
            Copy::Private { listener, life } => {
                *life + 1 == self.lives[*listener].len() && !self.lives[*listener][*life].killed
            }
        }
    }

    /// Whether an event may come again that nothing is [due](Self::due) for: its last delivery was requeued or failed,
    /// or its connection was lost, and it has not ended.
    pub(super) fn comes_again(&self) -> bool {
        let is_end =
            |ran: &Ran<'_>| self.is_final(ran) || ran.answer.is_some_and(|(_, answer)| answer == Answer::Handled);
        let lost = |ran: &Ran<'_>| self.sent(ran.heard.number).is_some_and(|sent| self.lost_since(sent, ran.at));
        let returns = |last: &&Ran<'_>| last.answer.is_some() || lost(last);
        self.chains.values().filter_map(|chain| chain.last()).filter(returns).any(|last| !is_end(last))
    }

    /// The owed copies that are not done and have a reader that is up.
    pub(super) fn due(&self) -> Vec<(Copy, usize)> {
        let running = self.running();
        let mut due = self.owed();
        due.retain(|(copy, number)| {
            let readers = self.sent(Some(*number)).map(|sent| self.readers(copy, sent.event)).unwrap_or_default();
            let handled = |ran: &Ran<'_>| ran.answer.is_some_and(|(_, answer)| answer == Answer::Handled);
            !self.is_done(copy, *number, |ran| self.is_final(ran) || handled(ran))
                && readers.iter().any(|reader| running.contains(reader))
        });
        due
    }
}

impl Life {
    /// The life without its errors, which are not `Copy`.
    fn bare(&self) -> Self {
        Self { errors: [None, None], ..*self }
    }
}

impl Sent<'_> {
    /// The number, priority, exchange and topic, for the text of violations.
    pub(super) fn name(&self) -> String {
        format!("event {} ({} of {} to {})", self.number, self.event.priority, self.event.exchange, self.event.topic)
    }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority;

    use super::*;

    /// A listener starts while an event is sent, so that its queue may not
    /// have got it, and the handler returns `answer`.
    fn comes_again_after(answer: Answer) -> bool {
        let (program, event) =
            (Program::new().listener(Listener::new("x", "t", Priority::Info)), Event::new("x", "t", Priority::Info));
        let steps = vec![Step::Send { sender: 0, message: event.without_queue() }, Step::Start { actor: 0 }];
        let heard = Heard { number: Some(0), attempt: 1, redelivered: false, message_id: "id".to_owned(), wrong: None };
        let ended = |step| Happened::Ended { step, outcome: Ok(()) };
        let ran = Happened::Ran { listener: 0, heard: vec![heard] };
        let happened = [Happened::Begun(0), Happened::Begun(1), ended(0), ended(1), ran];
        let answered = Happened::Answered { run: happened.len() - 1, answer };
        let events = happened.into_iter().chain([answered]).map(Into::into).collect();
        let history = History { steps, events };
        let timeline = Timeline::new(&program, &history);
        assert!(timeline.due().is_empty());
        timeline.comes_again()
    }

    #[test]
    fn an_event_that_is_not_owed_comes_again_unless_it_was_handled() {
        assert!(comes_again_after(Answer::Requeued));
        assert!(comes_again_after(Answer::Failed));
        assert!(!comes_again_after(Answer::Handled));
    }
}
