//! Faults of the network and of the broker while a bus is at work, and what must hold all the same.
//!
//! The relay and the points are tested without a broker; the rest needs the node that `OSLO_TEST_RABBIT_URL` names, and
//! `cargo xtask test` provides it.

mod broker;
mod handover;
mod hazard;
mod network;
mod node;
mod refused;
mod relay;
mod sweep;
mod wire;
mod workload;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use sweep::points;
use testkit::borrowed_node::BorrowedNode;
use testkit::case::{Case, PureCase, live, live_with, pure};
use testkit::{cases, pure_cases, stage};

const PURE: &[PureCase] = &pure_cases! {
    wire:
        a_stream_is_read_frame_by_frame,
        a_content_belongs_to_the_last_method_of_its_own_channel,
        an_acknowledgement_of_the_broker_is_a_confirm,
        every_offset_lies_in_one_frame_and_the_torn_one_is_known,
        what_is_too_short_to_be_known_is_not_guessed;
    points:
        four_of_five_are_within_what_concerns_a_message,
        the_same_seed_makes_the_same_points_and_another_others,
        every_offset_of_every_stream_is_one_point,
        each_frame_is_cut_once_within_and_once_behind_it,
        a_point_is_read_as_it_is_printed;
};

/// What needs sockets and no broker.
const RELAYED: &[Case] = &cases! {
    relay:
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

/// What needs a broker.
const LIVE: &[Case] = &cases! {
    handover:
        what_cannot_be_handed_over_any_more_takes_nothing_of_the_next_connection_with_it;
    refused:
        what_lapin_refuses_at_once_is_not_counted_as_sent;
    hazard:
        publishers_on_many_threads_get_their_own_results_also_when_the_broker_refuses,
        messages_whose_publishers_gave_up_are_confirmed_all_the_same,
        what_a_stalled_network_does_not_take_waits_in_our_window,
        a_confirm_of_what_was_never_sent_costs_the_link_and_nothing_else,
        a_connection_that_is_closed_with_an_unknown_code_is_made_again;
    network:
        single_bytes_make_whole_messages,
        a_delay_is_waited_for_and_costs_no_connection,
        a_broker_that_shakes_hands_slowly_is_connected_to_again,
        a_consumer_whose_start_is_not_confirmed_in_time_is_started_on_another_channel,
        an_unconfirmed_publish_gets_its_result_while_the_next_one_waits_for_its_exchange,
        a_network_that_stands_still_delays_nothing_past_the_deadline,
        a_network_that_swallows_everything_delays_nothing_past_the_deadline,
        a_connection_that_is_lost_while_it_is_made_is_reported_at_once,
        a_close_that_is_swallowed_ends_by_its_deadline;
    broker:
        a_reply_queue_that_is_deleted_in_mid_call_costs_no_answer,
        queues_that_are_deleted_under_a_server_and_a_listener_are_made_again,
        connections_that_are_closed_in_mid_call_cost_no_answer,
        an_alarm_in_mid_call_delays_the_answer,
        rights_that_are_taken_away_are_reported_and_everything_works_once_they_are_back;
    node:
        a_node_that_is_killed_in_mid_call_costs_no_answer,
        a_node_that_an_operator_restarts_in_mid_call_costs_no_answer,
        a_node_that_stands_still_delays_nothing_past_the_deadline,
        a_disk_that_is_full_at_the_start_is_waited_for,
        queues_that_were_declared_in_another_form_before_are_used;
};

/// What needs a broker, and is alone in the process: connections are counted, and time is short.
const SWEEPS: &[Case] = &cases! {
    sweep:
        every_guarantee_holds_wherever_connections_are_cut,
        a_client_whose_every_call_times_out_does_not_pass;
};

fn main() -> ExitCode {
    let relayed = RELAYED.iter().map(|&(name, case)| {
        Trial::test(name, move || {
            stage::run(case());
            Ok(())
        })
    });
    let sweeps =
        SWEEPS.iter().map(|&(name, case)| live_with(name, move || stage::run_alone_within(sweep::limit(), case())));
    let trials = PURE.iter().map(pure).chain(relayed).chain(LIVE.iter().map(live)).chain(sweeps);
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    BorrowedNode::end();
    conclusion.exit_code()
}
