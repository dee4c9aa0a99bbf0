//! Generated programs that broke a rule once, each in the smallest form that did, as the report printed it.

mod harness;

use harness::Fake;
use oslo_messaging_conformance::programs::replay;

/// After a cut, the queue delivers an event to a second listener while the first one still works on it. The second listener
/// requeues it with its batch, for longer than a silence, after the first one has handled it.
#[test]
fn a_second_copy_that_was_requeued_comes_again_before_the_end() {
    replay(Fake::default(), include_str!("kept/second_copy.json")).unwrap();
}
