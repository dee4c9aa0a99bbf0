//! The cases: one file for each area of the contract, with the table of its cases and their functions.

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

/// Defines the cases of one area: `CASES`, with the id `area::name` for each row. The doc comment of a row is what the
/// case cites; the brackets hold the capabilities that it requires; the function of that name checks it.
macro_rules! cases {
    ($area:ident; $(
        $(#[doc = $cites:literal])+
        $name:ident [$($requires:ident),*] $(lacks $lacks:ident)? $(disturbs $disturbs:ident)?;
    )+) => {
        pub(in crate::cases) const CASES: &[$crate::Case] = &[$($crate::Case {
            id: concat!(stringify!($area), "::", stringify!($name)),
            requires: &[$(oslo_messaging::driver::Capability::$requires),*],
            // The first of one or two elements: a macro has no other way to write "this, or else `None`".
            lacks: [$(Some(oslo_messaging::driver::Capability::$lacks),)? None][0],
            disturbs: [$(Some($crate::Disturbance::$disturbs),)? None][0],
            // Each line of a doc comment begins with a space, so they join into one text.
            cites: concat!($($cites),+).trim_ascii_start(),
            run: |stage| Box::pin($name(stage)),
        }),+];
    };
}
pub(crate) use cases;

/// Every case, in the order of the report.
pub fn all() -> impl Iterator<Item = &'static Case> {
    ALL.iter().copied().flatten()
}

/// Every area, in the order of the report. Every file of cases must be listed here, or its cases never run.
const ALL: &[&[Case]] = &[
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_a_unique_id_and_cites_its_source() {
        let mut ids = BTreeSet::new();
        for case in all() {
            assert!(ids.insert(case.id), "{} is listed twice", case.id);
            assert!(case.id.split_once("::").is_some(), "{}", case.id);
            assert!(case.cites.contains(": "), "{} cites no source", case.id);
        }
    }
}
