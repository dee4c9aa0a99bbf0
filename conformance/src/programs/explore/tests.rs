use proptest::strategy::{Strategy, ValueTree};

use super::*;
use crate::programs::{delivery, notify, rpc};

/// With every peril, so that tests see all kinds of steps.
fn generated<P: Generated>(seed: u64) -> String {
    let tree = P::strategy(Perils { cuts: true, limits: true, hurry: true })
        .new_tree(&mut runner_of(seed, 0))
        .expect("no program is rejected");
    tree.current().to_string()
}

/// A failure can be repeated only if the seed alone determines the program.
#[test]
fn a_seed_gives_the_same_program_again_and_another_seed_another() {
    assert_eq!(generated::<rpc::Program>(7), generated::<rpc::Program>(7));
    assert_ne!(generated::<rpc::Program>(7), generated::<rpc::Program>(8));
    assert_eq!(generated::<delivery::Program>(7), generated::<delivery::Program>(7));
}

/// A harness that cannot cut connections would fail programs that ask for it.
#[test]
fn perils_happen_only_where_they_are_allowed() {
    fn unhurt<P: Generated>(seed: u64) -> bool {
        let tree = P::strategy(Perils::default()).new_tree(&mut runner_of(seed, 0)).expect("no program is rejected");
        let text = tree.current().to_string();
        ["\"cut\"", "\"limit\"", "\"hurry\""].iter().all(|peril| !text.contains(peril))
    }
    assert!((0..200).all(|seed| unhurt::<rpc::Program>(seed) && unhurt::<notify::Program>(seed)));
}

/// Searches the JSON of 200 programs of each kind.
/// A step that the strategies never generate would leave its rules untested.
#[test]
fn every_kind_of_step_is_generated() {
    let rpc: String = (0..200).map(generated::<rpc::Program>).collect();
    let delivery: String = (0..200).map(generated::<delivery::Program>).collect();
    let notify: String = (0..200).map(generated::<notify::Program>).collect();
    for step in [
        r#""start""#,
        r#""stop""#,
        r#""kill""#,
        r#""cut""#,
        r#""settle":true"#,
        r#""limit""#,
        r#""topics":["t","u"]"#,
        r#""priorities":["info","error"]"#,
        r#""pool""#,
        r#""private""#,
        r#""types":"order"#,
        r#""publisher":"bank""#,
        r#""batch""#,
        r#""concurrency":1"#,
        r#""tries":2"#,
        r#""drops":true"#,
        r#""event_type":"order.sold""#,
        r#""bare":true"#,
        r#""without_queue":true"#,
        r#""requeued":1"#,
        r#""failing":1"#,
        r#""failing":9"#,
        r#""slow":true"#,
        r#""times":2"#,
        r#""at_once":true"#,
    ] {
        assert!(notify.contains(step), "{step}");
    }
    for step in [
        r#""start""#,
        r#""stop""#,
        r#""kill""#,
        r#""cut""#,
        r#""kind":"call""#,
        r#""kind":"cast""#,
        r#""kind":"fanout""#,
        r#""settle":true"#,
        r#""times":2"#,
        r#""given_up":true"#,
        r#""impatient":true"#,
        r#""kind":"cast","mandatory":true"#,
        r#""kind":"call","method""#,
        r#""at_least_once":true"#,
        r#""concurrency":1"#,
        r#""method":"slow""#,
        r#""method":"fail""#,
        r#""method":"missing""#,
        r#""namespace":""#,
        r#""server":""#,
        r#""exchange":""#,
        r#""version":""#,
    ] {
        assert!(rpc.contains(step), "{step}");
    }
    for step in [
        r#""open""#,
        r#""publish""#,
        r#""poll""#,
        r#""glance""#,
        r#""acknowledge""#,
        r#""requeue""#,
        r#""reject""#,
        r#""drop""#,
        r#""stop""#,
        r#""close""#,
        r#""forget""#,
        r#""wait""#,
        r#""mandatory":true"#,
        r#""ensure_queue":true"#,
        r#""life":"short""#,
        r#""life":"long""#,
        r#""too_late":true"#,
        r#""to":{"inbox""#,
        r#""to":{"queue""#,
        r#""to":{"fanout""#,
        r#""pool""#,
        r#""private""#,
        r#""before_handover":true"#,
        r#""window":1"#,
        r#""transport":1}"#,
        r#""transport":1,"window""#,
        r#""hang_up""#,
        r#""bytes":255"#,
        r#""bytes":300"#,
        r#""header":"#,
        r#""body":"#,
    ] {
        assert!(delivery.contains(step), "{step}");
    }
}
