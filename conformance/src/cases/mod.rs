//! The cases, one file for each area of the contract.

mod address;
mod close;
mod disturb;
mod limits;
mod listen;
mod neighbours;
mod notification;
mod notify;
mod peer;
mod publish;
mod refused;
mod retention;
mod rpc;
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
    rpc::call::CASES,
    rpc::cast::CASES,
    rpc::server::CASES,
    rpc::request::CASES,
    rpc::reply::CASES,
    rpc::life::CASES,
    rpc::time::CASES,
    rpc::target::CASES,
    notify::listen::CASES,
    notify::pool::CASES,
    notify::fail::CASES,
    notify::batch::CASES,
    notify::wire::CASES,
    notify::life::CASES,
    refused::CASES,
    disturb::CASES,
];
