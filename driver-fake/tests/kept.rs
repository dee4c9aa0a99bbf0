//! Generated programs that broke a rule once, in the smallest form that did.

mod harness;

use harness::Fake;
use oslo_messaging::Priority;
use oslo_messaging_conformance::programs::notify;

/// After a cut, the queue hands an event to a second listener while the first one still has it. The second one gives it back
/// with its batch, for longer than a silence, after the first one has handled it.
#[test]
fn a_second_copy_that_was_given_back_comes_again_before_the_end() {
    use notify::{Act, Listener, Program, Tell};
    let tell = || Tell::new("y", "t", Priority::Error);
    let program = Program::new()
        .listener(Listener::new("y", "t", Priority::Error).topic("u").pool("q").publisher("bank").concurrency(1))
        .listener(Listener::new("x", "t", Priority::Error).pool("q").batch(4).drops())
        .act(Act::new().start(0).start(1))
        .act(
            Act::new()
                .tell(1, tell().requeued(2).times(4))
                .cut(1)
                .tell(1, tell())
                .tell(0, tell().publisher("bank").failing(1).times(3)),
        );
    program.hold(Fake::default()).unwrap();
}
