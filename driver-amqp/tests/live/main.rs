//! What only a real RabbitMQ can show: its refusals, its frames, its objects, and its faults.
//!
//! Every case makes names or a virtual host of its own on the node that `OSLO_TEST_RABBIT_URL` names. A case that
//! freezes, kills or fills its node starts one for itself.

mod broker_limits;
mod channels;
mod connect;
mod declare;
mod descriptors;
mod hostile_headers;
mod limit;
mod log;
mod loss;
mod mandatory;
mod memory;
mod metrics;
mod names;
mod orderly;
mod properties;
mod quiet;
mod recovery;
mod revival;
mod settle;
mod silent;
mod stream;
mod thread;
mod tls;
mod topology;
mod traffic;
mod vanished;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use testkit::borrowed_node::BorrowedNode;
use testkit::case::{Case, live, live_alone};
use testkit::cases;
use xtask::broker::Release;

const CASES: &[Case] = &cases! {
    broker_limits:
        a_consumer_that_timed_out_comes_back_and_nothing_else_is_disturbed,
        a_limit_of_queues_leaves_existing_queues_usable,
        rights_to_few_names_are_enough_to_learn_what_the_broker_denies,
        a_limit_of_connections_is_reported_in_the_broker_s_words_and_passes,
        one_channel_too_many_fails_the_last_listener_and_no_other,
        what_retention_takes_from_a_slow_reader_of_a_stream_is_counted,
        a_stream_whose_replica_has_not_started_is_waited_for,
        another_host_is_taken_at_once_when_one_is_killed;
    channels:
        a_channel_number_that_the_broker_has_closed_blocks_no_other,
        listeners_beyond_the_channels_of_a_connection_get_another,
        the_loss_of_a_later_connection_is_the_loss_of_the_link,
        a_listener_for_which_no_connection_can_be_opened_is_refused_and_costs_no_other;
    connect:
        a_wrong_password_is_denied_and_never_shown,
        an_unknown_virtual_host_is_named,
        a_virtual_host_that_is_closed_to_the_user_is_denied,
        nothing_listening_is_disconnected,
        unknown_options_and_values_are_refused_before_connecting,
        a_virtual_host_of_256_bytes_is_refused,
        a_peer_that_is_no_broker_is_called_what_it_is,
        a_login_that_fits_into_no_frame_is_refused_with_the_reason,
        the_lower_heartbeat_counts_and_none_is_the_broker_s,
        a_second_host_is_taken_when_the_first_refuses,
        a_second_host_is_taken_when_the_first_never_answers,
        a_broker_that_starts_late_is_found_by_the_first_connection,
        a_transport_whose_runtime_is_dropped_is_closed;
    declare:
        an_exchange_of_another_type_is_a_topology_error,
        a_durable_queue_where_ours_is_not_is_used_with_one_warning,
        strict_mode_refuses_what_differs,
        several_differences_are_adopted_and_each_is_reported,
        an_exclusive_queue_of_another_connection_is_a_topology_error,
        a_stream_where_a_queue_is_expected_is_a_topology_error,
        a_queue_that_is_called_stream_is_used_as_any_other,
        a_quorum_queue_and_a_classic_one_are_each_used_where_the_other_is_expected,
        a_queue_of_ours_is_the_same_whether_its_reader_or_its_publisher_declares_it,
        a_lifted_delivery_limit_is_sent_and_warned_of_where_it_means_none,
        a_user_without_rights_is_denied_and_the_error_says_where;
    hostile_headers:
        headers_nested_1200_deep_cost_no_connection_of_a_server_or_a_caller,
        short_strings_that_are_not_utf_8_are_read_with_question_marks,
        a_message_that_outgrew_its_frame_on_its_way_is_read,
        a_broker_without_a_frame_limit_is_used_and_one_with_too_low_a_limit_is_named,
        a_greeting_nested_1200_deep_is_answered,
        a_peer_that_speaks_something_else_is_named;
    descriptors:
        a_process_that_runs_out_of_them_once_panics_neither_then_nor_later;
    limit:
        a_name_of_256_bytes_is_refused_wherever_it_stands,
        headers_over_a_frame_are_refused_and_disturb_no_other_publish,
        a_body_over_our_own_limit_is_refused_before_it_is_sent,
        a_body_over_the_broker_s_limit_fails_no_other_publish;
    mandatory:
        each_of_3000_pipelined_publishers_gets_its_own_result,
        a_confirmed_publish_does_not_wait_for_one_that_is_stuck,
        two_messages_of_one_id_both_get_their_results,
        a_fanout_without_a_binding_succeeds_even_after_its_exchange_went,
        fanouts_keep_their_order_when_their_exchange_went,
        a_topic_exchange_that_an_operator_deleted_is_declared_again,
        a_queue_of_ours_that_an_operator_deleted_is_declared_again,
        an_undeliverable_message_certainly_reached_no_queue,
        a_fanout_that_one_queue_refuses_may_have_reached_the_others,
        what_is_refused_certainly_reached_no_queue_where_queues_are_replicated_alone,
        a_call_right_after_a_loss_waits_for_its_server_to_come_back_too;
    metrics:
        what_is_sent_and_what_happens_to_a_connection_is_counted;
    names:
        what_was_sent_while_a_process_was_down_is_there_when_it_is_started_again,
        a_name_is_its_reader_s_alone_and_comes_back_after_a_loss,
        a_name_that_stays_taken_is_an_error_and_its_reader_keeps_its_messages;
    stream:
        every_server_reads_all_that_comes_while_it_runs_and_nothing_twice,
        a_reader_goes_on_where_it_was_after_a_loss,
        a_stream_that_is_deleted_is_made_again;
    orderly:
        a_server_that_stops_leaves_what_it_had_not_acknowledged_to_the_next,
        a_caller_that_is_cut_with_400_calls_in_flight_gets_every_answer,
        a_caller_that_leaves_with_400_calls_in_flight_keeps_no_other_waiting;
    properties:
        they_are_the_reference_s_and_an_id,
        replies_are_written_to_the_disk_where_shared_queues_are_durable,
        what_is_no_reply_is_written_to_the_disk_also_by_the_name_of_its_queue,
        headers_and_expiration_travel_as_the_reference_writes_them,
        an_expiration_longer_than_the_broker_takes_is_its_longest;
    quiet:
        calls_events_and_an_orderly_close_log_no_warning;
    settle:
        what_is_ready_is_acknowledged_in_one_frame_and_one_message_does_not_wait,
        receivers_acknowledge_the_prefix_in_one_frame_and_later_ones_singly,
        what_is_dropped_unsettled_comes_back_and_says_so,
        what_was_acknowledged_before_a_close_is_gone_and_settling_after_it_is_closed,
        what_was_acknowledged_before_the_transport_closes_is_gone,
        what_was_acknowledged_before_the_transport_closes_under_a_poll_is_gone,
        what_was_acknowledged_before_a_drop_is_gone_and_the_rest_comes_back,
        a_stop_gives_out_what_was_handed_over_and_no_more,
        a_stopped_listener_hands_over_nothing_of_a_channel_that_is_gone,
        cancelled_polls_lose_nothing_and_keep_the_order,
        polls_dropped_after_one_step_lose_nothing,
        a_close_deletes_private_queues_and_a_drop_leaves_them_to_expire;
    tls:
        a_broker_is_verified_and_each_refusal_has_its_own_text,
        a_client_that_the_broker_does_not_know_is_refused,
        every_login_method_logs_in;
    topology:
        a_server_an_inbox_and_a_notifier_make_the_reference_s_objects,
        what_goes_with_its_last_user_and_when_the_rest_expires_is_as_the_options_say,
        a_server_starts_while_the_last_one_of_its_topic_stops;
    loss:
        what_was_out_when_the_node_was_killed_may_have_arrived,
        a_frozen_node_delays_nothing_past_the_deadline,
        an_alarm_keeps_publishers_waiting_and_lets_consumers_go_on,
        a_close_ends_everything_while_the_node_is_gone,
        a_frozen_stop_ends_every_consumer_once_the_node_goes_on;
    recovery:
        a_node_that_is_killed_and_comes_back_is_found_again,
        a_node_that_an_operator_restarts_is_found_again,
        what_went_with_the_node_is_made_again,
        calls_go_on_after_a_node_was_killed,
        connections_that_an_operator_closes_are_made_again,
        a_node_that_freezes_for_a_while_is_found_again,
        a_node_that_freezes_with_much_on_the_way_is_found_again,
        an_alarm_stops_publishers_alone_and_costs_no_connection,
        a_host_that_is_not_there_is_passed_over,
        a_password_that_is_changed_is_an_alarm_until_it_is_changed_back,
        one_connection_takes_the_other_with_it_and_both_come_back,
        a_publish_waits_for_the_broker_until_its_deadline;
    revival:
        a_queue_deleted_under_its_consumer_is_made_again_and_the_others_do_not_notice,
        an_inbox_whose_queue_is_deleted_has_it_back_under_its_name,
        an_inbox_that_cannot_come_back_ends_and_another_private_queue_takes_a_new_name,
        a_shared_queue_that_cannot_come_back_is_an_alarm_until_it_can,
        a_consumer_that_cannot_come_back_keeps_no_other_waiting,
        a_channel_that_the_broker_closes_is_opened_again_on_the_same_connection,
        nothing_of_a_lost_connection_is_settled_or_handed_over,
        what_any_queue_had_ready_when_the_channel_went_is_counted,
        what_was_acknowledged_and_not_handed_over_survives_the_connection;
    vanished:
        a_reply_queue_that_is_forgotten_is_put_back_by_a_call_that_times_out,
        the_queues_of_a_server_that_are_forgotten_are_put_back_at_the_next_look,
        a_topic_exchange_that_is_deleted_under_a_server_comes_back_with_its_bindings,
        a_server_whose_exchange_is_deleted_by_others_binds_its_queues_at_the_next_look,
        a_call_that_times_out_says_whether_the_queue_has_a_consumer;
};

/// A case that cannot hold on every release: on which it cannot, and why.
type Exception = (&'static str, fn(Release) -> bool, &'static str);

const EXCEPTIONS: [Exception; 3] = [
    (
        "declare::a_durable_queue_where_ours_is_not_is_used_with_one_warning",
        Release::denies_transient,
        OURS_ARE_DURABLE,
    ),
    ("declare::several_differences_are_adopted_and_each_is_reported", Release::denies_transient, OURS_ARE_DURABLE),
    ("topology::a_server_starts_while_the_last_one_of_its_topic_stops", is_4_3, HALF_AN_EXCHANGE),
];
const OURS_ARE_DURABLE: &str = "the broker denies transient queues, so ours are durable too";
/// Once in some two hundred times. The exchange is then on record as `undefined`; declaring it, or listing the
/// exchanges, fails with an internal error (`rabbit_exchange:assert_equivalence/6`, `function_clause`).
const HALF_AN_EXCHANGE: &str = "RabbitMQ 4.3.6 may keep half of an exchange that deletes itself while it is declared, and then refuses it for ever";

/// How many cases run at once.
const BESIDE: usize = 4;

/// The cases that must be alone in the process.
const ALONE: &[Case] = &cases! {
    memory:
        an_idle_transport_keeps_a_fraction_of_its_buffers_in_memory;
    thread:
        a_host_that_never_answers_times_out_and_leaves_none,
        a_connect_that_is_dropped_leaves_none,
        a_frozen_node_leaves_none_after_a_close_or_a_drop,
        connections_that_were_made_again_leave_none,
        a_transport_that_is_connecting_again_leaves_none_after_a_close_or_a_drop;
};

fn main() -> ExitCode {
    // Two cases start this program again as a child, to read its log and to use up its descriptors.
    if let Some(code) = quiet::child().or_else(descriptors::child) {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Most of them wait for a broker most of the time.
    arguments.test_threads.get_or_insert(BESIDE);
    let conclusion = libtest_mimic::run(
        &arguments,
        CASES.iter().map(|case| unless_excepted(case, live(case))).chain(ALONE.iter().map(live_alone)).collect(),
    );
    BorrowedNode::end();
    conclusion.exit_code()
}

/// The trial of `case`, or one that is ignored where the case cannot hold.
fn unless_excepted((name, _): &Case, trial: Trial) -> Trial {
    let release = Release::from_env().ok().flatten();
    let excepts = |(case, cannot, _): &&Exception| case == name && release.is_some_and(cannot);
    match EXCEPTIONS.iter().find(excepts) {
        Some(&(.., reason)) => Trial::ignorable_test(*name, move || Ok(Completion::ignored_with(reason))),
        None => trial,
    }
}

fn is_4_3(release: Release) -> bool {
    matches!(release, Release::V4_3 | Release::V4_3Denied)
}
