//! A history in terms of the model: which server was up when, what was sent when, and what ran where.

use std::collections::BTreeSet;
use std::time::Duration;

use super::history::{Event, History, Outcome, Run};
use super::model::{Dispatch, dispatch, reads};
use super::program::{Program, Step};
use super::request::{Kind, Request};
use super::{Server, divergence};
use crate::programs::acts::cuts::Cuts;

/// The position of what did not happen: after every event.
pub(crate) const NEVER: usize = usize::MAX;

/// A history in terms of servers and messages. Times are positions in its list of events.
#[derive(Debug)]
pub(crate) struct Timeline<'a> {
    pub(crate) servers: &'a [Server],
    /// The senders that divergences may excuse.
    foreign_senders: &'a BTreeSet<usize>,
    /// The lives of each server, by its index, in the order of their starts.
    pub(crate) lives: Vec<Vec<Life<'a>>>,
    /// In the order in which the sends began.
    pub(crate) sent: Vec<Sent<'a>>,
    /// In the order in which the methods started.
    pub(crate) runs: Vec<Ran<'a>>,
    /// Each end of a method: its position, server and message.
    pub(crate) finished: Vec<(usize, usize, usize)>,
    /// The positions at which nothing was due.
    pub(crate) settled: Vec<usize>,
    pub(crate) cuts: Cuts,
    /// The counter of dropped requests, once every server has ended.
    pub(crate) dropped: Option<u64>,
}

/// One time that a server was up: surely from `started` to `stopping`, perhaps from `starting` to `stopped`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life<'a> {
    /// The position at which its start began. It may take requests from here on.
    pub(crate) starting: usize,
    /// The position at which its start succeeded. It surely takes requests from here on.
    pub(crate) started: usize,
    /// The position at which its stop or kill began; [`NEVER`] while it is up.
    pub(crate) stopping: usize,
    /// The position at which it had ended, or [`NEVER`]. No method may start after it.
    pub(crate) stopped: usize,
    /// Whether it was dropped instead of stopped.
    pub(crate) killed: bool,
    /// Whether it was stopped with too little time.
    pub(crate) hurried: bool,
    /// The outcomes of its start and of its stop.
    pub(crate) outcomes: [Option<&'a Outcome>; 2],
}

/// A message that was sent, with what its sender learned of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    /// The number of its step, which the arguments of the method carry.
    pub(crate) number: usize,
    /// The index of the sender. Order holds for each sender alone.
    pub(crate) sender: usize,
    pub(crate) request: &'a Request,
    /// A queue that was bound before this position surely gets the request.
    pub(crate) begun: usize,
    /// A queue that was bound after this position does not get it. [`NEVER`] if the send did not end.
    pub(crate) ended: usize,
    /// `None` while the send is in progress.
    pub(crate) outcome: Option<&'a Outcome>,
    /// How long the send took, by the clock of the harness.
    pub(crate) took: Duration,
}

/// An execution and its position, by which it is compared with starts, stops and sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran<'a> {
    /// The position at which the method started: its server must be up then.
    pub(crate) at: usize,
    /// What the server reported of it.
    pub(crate) run: &'a Run,
}

impl<'a> Timeline<'a> {
    /// Reads the history once. Pure.
    /// Steps that never ended keep [`NEVER`] as their end.
    pub(crate) fn new(program: &'a Program, history: &'a History) -> Self {
        let mut timeline = Self {
            servers: &program.servers,
            foreign_senders: &program.foreign_senders,
            lives: vec![Vec::new(); program.servers.len()],
            sent: Vec::new(),
            runs: Vec::new(),
            finished: Vec::new(),
            settled: Vec::new(),
            cuts: Cuts::default(),
            dropped: None,
        };
        for (at, event) in history.events.iter().enumerate() {
            match event {
                Event::Begun(number) => timeline.begin(at, *number, &history.steps[*number]),
                Event::Ended { step, outcome, took } => {
                    timeline.end(at, *step, &history.steps[*step], outcome, *took);
                }
                Event::Ran(run) => timeline.runs.push(Ran { at, run }),
                Event::Finished { server, number } => timeline.finished.push((at, *server, *number)),
                Event::Settled => timeline.settled.push(at),
                Event::Cutting(number) => timeline.cuts.begin(*number, at),
                Event::Dropped(dropped) => timeline.dropped = Some(*dropped),
            }
        }
        timeline
    }

    /// Opens a life or a send at the begin of its step.
    /// A stop of a server without a life is ignored.
    fn begin(&mut self, at: usize, number: usize, step: &'a Step) {
        match step {
            Step::Start { actor: server } => self.lives[*server].push(Life {
                starting: at,
                started: NEVER,
                stopping: NEVER,
                stopped: NEVER,
                killed: false,
                hurried: false,
                outcomes: [None; 2],
            }),
            Step::Stop { actor: server } | Step::Hurry { actor: server } | Step::Kill { actor: server } => {
                if let Some(life) = self.lives[*server].last_mut() {
                    life.killed = matches!(step, Step::Kill { .. });
                    life.hurried = matches!(step, Step::Hurry { .. });
                    life.stopping = at;
                }
            }
            Step::Send { sender, message: request } => self.sent.push(Sent {
                number,
                sender: *sender,
                request,
                begun: at,
                ended: NEVER,
                outcome: None,
                took: Duration::ZERO,
            }),
            // `Event::Cutting` records when the connections are cut, which is later.
            Step::Cut { .. } => {}
        }
    }

    /// Completes the life, send or cut of a step.
    /// A start that failed never surely takes requests.
    fn end(&mut self, at: usize, number: usize, step: &Step, outcome: &'a Outcome, took: Duration) {
        match step {
            Step::Start { actor: server } => {
                if let Some(life) = self.lives[*server].last_mut() {
                    life.started = if *outcome == Outcome::Done { at } else { NEVER };
                    life.outcomes[0] = Some(outcome);
                }
            }
            Step::Stop { actor: server } | Step::Hurry { actor: server } | Step::Kill { actor: server } => {
                if let Some(life) = self.lives[*server].last_mut() {
                    life.stopped = at;
                    life.outcomes[1] = Some(outcome);
                }
            }
            Step::Send { .. } => {
                if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
                    (sent.ended, sent.outcome, sent.took) = (at, Some(outcome), took);
                }
            }
            Step::Cut { .. } => {
                let error = (*outcome != Outcome::Done).then(|| format!("{outcome:?}"));
                self.cuts.end(number, at, error);
            }
        }
    }

    /// The servers that no stop or kill has ended, including those whose start has not ended or failed.
    pub(crate) fn running(&self) -> Vec<usize> {
        let up = |server: &usize| self.lives[*server].last().is_some_and(|life| life.stopping == NEVER);
        (0..self.servers.len()).filter(up).collect()
    }

    /// Whether `server` was up all the time from `from` to `to`.
    /// The start must have ended before `from`, and the stop must begin after `to`.
    pub(crate) fn surely_up(&self, server: usize, from: usize, to: usize) -> bool {
        self.lives[server].iter().any(|life| life.started < from && to < life.stopping)
    }

    /// Whether `server` may have been up at some time from `from` to `to`.
    /// A life counts from the begin of its start to the end of its stop.
    pub(crate) fn perhaps_up(&self, server: usize, from: usize, to: usize) -> bool {
        self.lives[server].iter().any(|life| life.starting < to && from < life.stopped)
    }

    /// Whether a queue was surely bound at the address of `sent` before it
    /// was sent. Queues stay when their readers end.
    pub(crate) fn surely_bound(&self, sent: &Sent<'_>) -> bool {
        self.binders(sent.request).any(|server| self.lives[server].iter().any(|life| life.started < sent.begun))
    }

    /// Whether a queue may have been bound at its address before the send had ended.
    /// A server that starts while the send is in progress may bind the queue in time.
    pub(crate) fn perhaps_bound(&self, sent: &Sent<'_>) -> bool {
        self.binders(sent.request).any(|server| self.lives[server].iter().any(|life| life.starting < sent.ended))
    }

    /// The servers that read the queue to which `request` goes.
    /// Whether they are up does not matter.
    pub(crate) fn readers<'r>(&'r self, request: &'r Request) -> impl Iterator<Item = usize> + 'r {
        (0..self.servers.len()).filter(|server| reads(&self.servers[*server], request))
    }

    /// Whether every server that may receive `request` would run it.
    /// If not, a request may be refused, depending on which server takes it.
    pub(crate) fn all_run(&self, request: &Request) -> bool {
        self.readers(request).all(|server| self.dispatch(server, request) == Dispatch::Runs)
    }

    /// Whether `server` would run the request or refuse it; says nothing of whether it is up.
    pub(crate) fn dispatch(&self, server: usize, request: &Request) -> Dispatch {
        dispatch(&self.servers[server], request)
    }

    /// The executions of a message, in the order in which they started; of a fanout, those at every server.
    pub(crate) fn runs_of(&self, number: usize) -> impl Iterator<Item = &Ran<'a>> {
        self.runs.iter().filter(move |ran| ran.run.number == number)
    }

    /// Whether a reader of its queue was killed or stopped in a hurry after `sent`, and may have lost it.
    pub(crate) fn perhaps_lost(&self, sent: &Sent<'_>) -> bool {
        self.perhaps_lost_in_silence(sent) || self.perhaps_hurried(sent)
    }

    /// The same for losses that no counter and no answer reports, as after a kill.
    /// Servers that acknowledge after their answer lose nothing when they are killed.
    pub(crate) fn perhaps_lost_in_silence(&self, sent: &Sent<'_>) -> bool {
        let killed = |server: usize| {
            let mut lives = self.lives[server].iter();
            !self.settles_afterwards(server) && lives.any(|life| life.killed && sent.begun < life.stopped)
        };
        self.readers(sent.request).any(|server| killed(server) || self.perhaps_lost_at_stop(server, sent))
    }

    /// Whether a reader that acknowledges before it runs was stopped in a hurry, and may have had `sent`.
    pub(crate) fn perhaps_hurried(&self, sent: &Sent<'_>) -> bool {
        let mut readers = self.readers(sent.request).filter(|server| !self.settles_afterwards(*server));
        readers.any(|server| self.lives[server].iter().any(|life| life.hurried && sent.begun < life.stopped))
    }

    /// Whether `server` loses requests when it stops, and may have had `sent`. It
    /// cannot if everything had run before the stop.
    fn perhaps_lost_at_stop(&self, server: usize, sent: &Sent<'_>) -> bool {
        let had = |life: &Life<'_>| {
            let waited_for = if sent.request.kind == Kind::Call { sent.ended } else { NEVER };
            let (given, stopping) = (life.started.max(sent.ended), life.stopping);
            let had_run = self.settled.iter().any(|settled| given < *settled && *settled < stopping);
            stopping < waited_for && sent.begun < life.stopped && !had_run
        };
        divergence::LOSES_AT_STOP.holds_for(&self.servers[server]) && self.lives[server].iter().any(had)
    }

    /// Whether `sent` failed because its exchange was deleted, at a sender that is excused from that. The exchange may
    /// be deleted if no server was bound to it throughout.
    pub(crate) fn met_no_exchange(&self, sent: &Sent<'_>) -> bool {
        let gone =
            matches!(sent.outcome, Some(Outcome::Broken { error }) if error.contains("(404) NOT_FOUND - no exchange"));
        let foreign = self.foreign_senders.contains(&sent.sender);
        let held = || self.readers(sent.request).any(|server| self.surely_up(server, sent.begun, sent.ended));
        gone && divergence::FANOUT_FAILS.holds_for(foreign, sent.request) && !held()
    }

    /// Whether a request that a kill of `server` interrupts must run again.
    fn settles_afterwards(&self, server: usize) -> bool {
        let server = &self.servers[server];
        server.at_least_once && !divergence::ACKNOWLEDGES_FIRST.holds_for(server)
    }

    /// Whether every connection was lost at some time from `from` to `to`.
    pub(crate) fn cut_between(&self, from: usize, to: usize) -> bool {
        self.cuts.between(from, to)
    }

    /// Whether `sent` ended as disconnected while connections were cut.
    /// A disconnection without a cut is no excuse.
    pub(crate) fn lost_its_connection(&self, sent: &Sent<'_>) -> bool {
        matches!(sent.outcome, Some(Outcome::Disconnected { .. })) && self.cut_between(sent.begun, sent.ended)
    }

    /// Whether a call timed out because its request may have been lost with a connection.
    /// A call that ran is not among them: its answer survives a cut.
    pub(crate) fn lost_with_its_connection(&self, sent: &Sent<'_>) -> bool {
        let waited = sent.request.kind == Kind::Call && sent.outcome == Some(&Outcome::TimedOut);
        let in_vain = waited && self.runs_of(sent.number).next().is_none();
        in_vain && self.cut_between(sent.begun, sent.ended)
    }

    /// Whether a reader that acknowledges after its answer was killed between
    /// `from` and `to`: its requests are redelivered.
    pub(crate) fn perhaps_again(&self, request: &Request, from: usize, to: usize) -> bool {
        let killed = |server: usize| {
            let mut lives = self.lives[server].iter();
            self.settles_afterwards(server)
                && lives.any(|life| life.may_cut_short() && life.stopping < to && from < life.stopped)
        };
        self.readers(request).any(killed)
    }

    /// Whether a kill interrupted the last execution of a cast, at a server that acknowledges afterwards.
    pub(crate) fn cut_short(&self, sent: &Sent<'_>) -> bool {
        let Some(last) = self.runs_of(sent.number).last() else { return false };
        let server = last.run.server;
        // After a cut the request may be delivered twice; the end of either delivery counts.
        let copied = self.cut_between(sent.begun, last.at);
        let ended = |finished: &(usize, usize, usize)| {
            finished.2 == sent.number && (copied || (finished.0 > last.at && finished.1 == server))
        };
        let mut lives = self.lives[server].iter();
        let killed = lives.any(|life| life.may_cut_short() && life.starting < last.at && last.at < life.stopped);
        killed && self.settles_afterwards(server) && !self.finished.iter().any(ended)
    }

    /// The messages that must still run without any further step; of a fanout, with the server.
    /// The play waits until it is empty, or nothing has happened for `Budget::arrive`.
    pub(crate) fn due(&self) -> Vec<(usize, Option<usize>)> {
        let mut due = Vec::new();
        let sent = self.sent.iter().filter(|sent| sent.outcome == Some(&Outcome::Done));
        for sent in sent {
            let mut waiting = self.readers(sent.request).filter(|server| self.surely_up(*server, NEVER - 1, NEVER - 1));
            if sent.request.kind == Kind::Fanout {
                let missed = |server: &usize| {
                    self.surely_up(*server, sent.begun, NEVER - 1)
                        && self.dispatch(*server, sent.request) == Dispatch::Runs
                        && !self.runs_of(sent.number).any(|ran| ran.run.server == *server)
                };
                due.extend(waiting.filter(missed).map(|server| (sent.number, Some(server))));
            } else if waiting.next().is_some()
                && self.surely_bound(sent)
                && !self.perhaps_lost(sent)
                && self.all_run(sent.request)
                && (self.runs_of(sent.number).next().is_none() || self.cut_short(sent))
            {
                due.push((sent.number, None));
            }
        }
        due
    }

    /// The servers that bind the queue of the request to its exchange.
    /// A fanout is bound by each server of its topic.
    fn binders<'r>(&'r self, request: &'r Request) -> impl Iterator<Item = usize> + 'r {
        (0..self.servers.len()).filter(|server| super::model::binds(&self.servers[*server], request))
    }
}

impl Life<'_> {
    /// Whether methods may have been interrupted at its end.
    fn may_cut_short(&self) -> bool {
        self.killed || self.hurried
    }
}

impl Sent<'_> {
    /// The number, the sender and the request as JSON, for the text of violations.
    pub(crate) fn name(&self) -> String {
        format!("message {} of sender {}, {},", self.number, self.sender, self.request)
    }
}
