use futures_util::FutureExt;

use super::*;

const PLENTY: Amount = Amount { replies: 1_000, bytes: 1_000_000 };

fn queues(for_each_queue: usize, in_all: usize) -> MissingQueues {
    let limit = |replies| Amount { replies, ..PLENTY };
    MissingQueues::new(Limits { for_each_queue: limit(for_each_queue), in_all: limit(in_all) })
}

fn prober(queues: &MissingQueues, queue: &str) -> Prober {
    let Turn::Probe(prober) = queues.refused(queue, 1) else { panic!("it is the first") };
    prober
}

fn waiting(queues: &MissingQueues, queue: &str) -> WaitingReply {
    let Turn::Wait(waiting) = queues.turn(queue, 1) else { panic!("the queue is missing") };
    waiting
}

fn turn(waiting: &mut WaitingReply) -> &'static str {
    match waiting.now_or_never() {
        None => "wait",
        Some(Turn::Send) => "send",
        Some(Turn::Fail) => "fail",
        Some(Turn::Probe(_)) => "probe",
        Some(Turn::Wait(_)) => "wait again",
    }
}

fn is_empty(queues: &MissingQueues) -> bool {
    let table = queues.0.lock();
    table.queues.is_empty() && table.in_all == Amount::default()
}

#[test]
fn replies_to_a_missing_queue_share_the_outcome_of_one_prober() {
    for (found, expected) in [(true, "send"), (false, "fail")] {
        let queues = queues(10, 10);
        assert!(matches!(queues.turn("q", 1), Turn::Send), "nothing is known against it");
        let prober = prober(&queues, "q");
        let mut later = [waiting(&queues, "q"), waiting(&queues, "q")];
        assert!(matches!(queues.turn("other", 1), Turn::Send), "another queue is not concerned");
        assert_eq!(later.each_mut().map(turn), ["wait", "wait"]);
        if found {
            prober.found();
        } else {
            assert_eq!(prober.gone(), 2);
        }
        assert_eq!(later.each_mut().map(turn), [expected, expected]);
        assert!(is_empty(&queues));
    }
}

#[test]
fn a_prober_that_gives_up_makes_the_one_that_waited_longest_the_next() {
    let queues = queues(10, 10);
    let mut first = prober(&queues, "q");
    let reply_deadline = Deadline::after(Duration::from_secs(60));
    first.absent_until = Some(reply_deadline);
    let gave_up = waiting(&queues, "q");
    let (mut second, mut third) = (waiting(&queues, "q"), waiting(&queues, "q"));
    drop(gave_up);
    drop(first);
    let Some(Turn::Probe(next)) = (&mut second).now_or_never() else { panic!("it is its turn") };
    assert_eq!(next.absent_until, Some(reply_deadline), "the time of the queue goes on");
    assert_eq!(turn(&mut third), "wait");
    drop(next);
    assert_eq!(turn(&mut third), "probe");
    assert!(is_empty(&queues));
}

#[test]
fn the_oldest_of_a_queue_makes_room_for_the_newest() {
    let queues = queues(3, 100);
    let prober = prober(&queues, "q");
    let mut all: Vec<_> = (0..4).map(|_| waiting(&queues, "q")).collect();
    assert_eq!(all.iter_mut().map(turn).collect::<Vec<_>>(), ["fail", "fail", "wait", "wait"]);
    assert_eq!(prober.gone(), 2);
}

#[test]
fn the_queue_that_has_most_makes_room_for_the_others() {
    let queues = queues(100, 4);
    let _large = prober(&queues, "large");
    let mut many: Vec<_> = (0..3).map(|_| waiting(&queues, "large")).collect();
    let _small = prober(&queues, "small");
    let mut one = waiting(&queues, "small");
    assert_eq!(many.iter_mut().map(turn).collect::<Vec<_>>(), ["fail", "fail", "wait"]);
    assert_eq!(turn(&mut one), "wait");
}

#[test]
fn queues_beyond_the_bound_end_the_oldest_prober() {
    let queues = queues(100, 2);
    let (first, second, third) = (prober(&queues, "1"), prober(&queues, "2"), prober(&queues, "3"));
    assert!(first.no_room().is_cancelled() && !second.no_room().is_cancelled() && !third.no_room().is_cancelled());
    drop(first);
    assert!(matches!(queues.turn("1", 1), Turn::Send), "it is forgotten");
    drop((second, third));
    assert!(is_empty(&queues));
}

#[test]
fn bytes_are_bounded_too_and_one_large_reply_is_kept() {
    let limit = Amount { replies: 100, bytes: 10 };
    let queues = MissingQueues::new(Limits { for_each_queue: limit, in_all: PLENTY });
    let _prober = prober(&queues, "q");
    let (Turn::Wait(mut old), Turn::Wait(mut new)) = (queues.turn("q", 8), queues.turn("q", 50)) else {
        panic!("the queue is missing")
    };
    assert_eq!((turn(&mut old), turn(&mut new)), ("fail", "wait"));
}
