use proptest::strategy::{Strategy, ValueTree};

use super::*;
use crate::programs::{delivery, notify, rpc};

fn generated<P: Generated>(seed: u64) -> String {
    let tree = P::strategy(Perils { cuts: true, limits: true, hurry: true })
        .new_tree(&mut runner_of(seed, 0))
        .expect("no program is rejected");
    tree.current().to_string()
}

#[test]
fn a_seed_gives_the_same_program_again_and_another_seed_another() {
    assert_eq!(generated::<rpc::Program>(7), generated::<rpc::Program>(7));
    assert_ne!(generated::<rpc::Program>(7), generated::<rpc::Program>(8));
    assert_eq!(generated::<delivery::Program>(7), generated::<delivery::Program>(7));
}

#[test]
fn connections_are_lost_only_where_they_can_be() {
    fn unhurt<P: Generated>(seed: u64) -> bool {
        let tree = P::strategy(Perils::default()).new_tree(&mut runner_of(seed, 0)).expect("no program is rejected");
        let text = tree.current().to_string();
        [".cut(", ".limited_by(", ".hurry("].iter().all(|peril| !text.contains(peril))
    }
    assert!((0..200).all(|seed| unhurt::<rpc::Program>(seed) && unhurt::<notify::Program>(seed)));
}

#[test]
fn every_step_is_among_the_programs() {
    let rpc: String = (0..200).map(generated::<rpc::Program>).collect();
    let delivery: String = (0..200).map(generated::<delivery::Program>).collect();
    let notify: String = (0..200).map(generated::<notify::Program>).collect();
    for step in [
        ".start(",
        ".stop(",
        ".kill(",
        ".cut(",
        ".settle()",
        ".limited_by(",
        ".topic(",
        ".priority(",
        ".pool(",
        ".tap()",
        ".types(",
        ".publisher(",
        ".batch(",
        ".concurrency(1)",
        ".tries(",
        ".drops()",
        ".event_type(",
        ".bare()",
        ".without_queue()",
        ".requeued(",
        ".failing(",
        ".failing(9)",
        ".slow()",
        ".times(",
        ".at_once()",
    ] {
        assert!(notify.contains(step), "{step}");
    }
    for step in [
        ".start(",
        ".stop(",
        ".kill(",
        ".cut(",
        "::call(",
        "::cast(",
        "::fanout(",
        ".settle()",
        ".times(",
        ".given_up()",
        ".impatient()",
        ".other_way_round()",
        ".at_least_once()",
        ".concurrency(1)",
        "Method::Slow",
        "Method::Fail",
        "Method::Missing",
        ".namespace(",
        ".server(",
        ".exchange(",
        ".version(",
    ] {
        assert!(rpc.contains(step), "{step}");
    }
    for step in [
        ".open(",
        ".publish(",
        ".poll(",
        ".glance(",
        "Verdict::Acknowledge",
        "Verdict::Requeue",
        "Verdict::Reject",
        "Verdict::Drop",
        ".stop(",
        ".close(",
        ".forget(",
        ".wait()",
        ".mandatory()",
        ".ensure_queue()",
        ".short_lived()",
        ".long_lived()",
        ".too_late()",
        "::inbox(",
        "::queue(",
        "::fanout(",
        ".pool(",
        ".private()",
        ".before_handover()",
        ".window(1)",
        ".by(1)",
        ".on(1)",
        ".hang_up(",
        ".long_name(255)",
        ".long_name(300)",
        ".header_of(",
        ".body_of(",
    ] {
        assert!(delivery.contains(step), "{step}");
    }
}
