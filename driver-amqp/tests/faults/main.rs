//! What a network and a broker can do to a connection while a bus is at work, and what must hold all the same.
//!
//! The relay and the rules are tried by themselves; the rest needs the node that `OSLO_TEST_RABBIT_URL` names, and
//! `cargo xtask test` provides it.

mod proxy;
#[path = "../live/stage.rs"]
#[allow(dead_code, reason = "only a part of it is used here")]
mod stage;
mod wire;

use std::process::ExitCode;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Trial};

/// One case: a sentence, and how to try it.
type Case = (&'static str, fn() -> BoxFuture<'static, ()>);
/// One case that needs neither a network nor a clock.
type Pure = (&'static str, fn());

/// The cases of one module, named after it and them.
macro_rules! cases {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($case)), (|| Box::pin($module::tests::$case())) as fn() -> BoxFuture<'static, ()>)),+),+]
    };
}

macro_rules! pure {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($case)), $module::tests::$case as fn())),+),+]
    };
}

const PURE: &[Pure] = &pure! {
    wire:
        a_stream_is_read_frame_by_frame,
        a_content_belongs_to_the_last_method_of_its_own_channel,
        an_acknowledgement_of_the_broker_is_a_confirm,
        every_offset_lies_in_one_frame_and_the_torn_one_is_known,
        what_is_too_short_to_be_known_is_not_guessed;
};

/// What needs sockets and no broker.
const RELAYED: &[Case] = &cases! {
    proxy:
        bytes_go_through_and_are_counted_and_kept,
        a_cut_is_orderly_and_a_reset_is_not,
        an_armed_cut_lets_through_exactly_what_is_before_its_offset,
        an_armed_fault_waits_for_its_connection_comes_once_and_takes_others_along,
        an_armed_fault_can_be_sprung_before_its_place,
        what_stands_still_goes_on_where_it_stood,
        what_is_swallowed_is_read_and_never_arrives,
        a_delay_is_waited_for_and_fragments_are_single_bytes,
        a_peer_that_is_not_there_and_one_that_closes_end_the_connection;
};

fn main() -> ExitCode {
    let pure = PURE.iter().map(|&(name, case)| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
    });
    let relayed = RELAYED.iter().map(|&(name, case)| {
        Trial::test(name, move || {
            stage::run(case());
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), pure.chain(relayed).collect()).exit_code()
}
