//! The cases, one file for each area of the contract.

mod address;
mod close;
mod disturb;
mod limits;
mod listen;
mod neighbours;
mod notification;
mod notify;
mod notify_batch;
mod notify_fail;
mod notify_life;
mod notify_listen;
mod notify_pool;
mod notify_wire;
mod peer;
mod publish;
mod refused;
mod retention;
mod rpc;
mod rpc_call;
mod rpc_cast;
mod rpc_life;
mod rpc_reply;
mod rpc_request;
mod rpc_server;
mod rpc_target;
mod rpc_time;
mod settle;

use crate::Case;

/// Every area, in the order in which they are listed.
pub(crate) const ALL: &[&[Case]] = &[
    address::CASES,
    publish::CASES,
    listen::CASES,
    settle::CASES,
    retention::CASES,
    notification::CASES,
    close::CASES,
    limits::CASES,
    neighbours::CASES,
    rpc_call::CASES,
    rpc_cast::CASES,
    rpc_server::CASES,
    rpc_request::CASES,
    rpc_reply::CASES,
    rpc_life::CASES,
    rpc_time::CASES,
    rpc_target::CASES,
    notify_listen::CASES,
    notify_pool::CASES,
    notify_fail::CASES,
    notify_batch::CASES,
    notify_wire::CASES,
    notify_life::CASES,
    refused::CASES,
    disturb::CASES,
];
