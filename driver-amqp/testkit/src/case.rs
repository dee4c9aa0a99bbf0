//! Trials of `libtest-mimic`: cases that are named after their functions, and live ones, which need a broker.

use std::env;

use futures_util::future::BoxFuture;
use libtest_mimic::{Completion, Failed, Trial};
use xtask::broker::{RABBIT_URL, REQUIRE_LIVE};

use crate::stage;

/// A name and a body that needs a runtime.
pub type Case = (&'static str, fn() -> BoxFuture<'static, ()>);

/// A name and a body that needs neither a network nor a clock.
pub type PureCase = (&'static str, fn());

/// The cases of one module after the other, each named `module::function`.
#[macro_export]
macro_rules! cases {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($case)), (|| Box::pin($module::$case())) as fn() -> ::futures_util::future::BoxFuture<'static, ()>)),+),+]
    };
}

/// The same of functions that are not async, in the module `tests` of each.
#[macro_export]
macro_rules! pure_cases {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($case)), $module::tests::$case as fn())),+),+]
    };
}

/// A trial that runs everywhere.
pub fn pure(&(name, case): &PureCase) -> Trial {
    Trial::test(name, move || {
        case();
        Ok(())
    })
}

/// A trial on the broker that the environment names, beside others.
pub fn live(&(name, case): &Case) -> Trial {
    live_with(name, move || stage::run(case()))
}

/// A trial on the broker that the environment names, while no other runs.
pub fn live_alone(&(name, case): &Case) -> Trial {
    live_with(name, move || stage::run_alone(case()))
}

/// A trial that runs `body` if the environment names a broker.
pub fn live_with(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        if_live(|| {
            body();
            Ok(())
        })
    })
}

/// Runs `body` if the environment names a broker; otherwise ignores the trial, or fails it where nothing may be skipped.
pub fn if_live(body: impl FnOnce() -> Result<(), Failed>) -> Result<Completion, Failed> {
    if env::var_os(RABBIT_URL).is_some() {
        return body().map(|()| Completion::Completed);
    }
    skipped(&format!("{RABBIT_URL} is not set: run `cargo xtask test`"))
}

/// Ignores a trial for want of something; where nothing may be skipped, fails it.
pub fn skipped(reason: &str) -> Result<Completion, Failed> {
    match must_run() {
        Some(variable) => Err(format!("{reason}; nothing may be skipped where {variable} is set").into()),
        None => Ok(Completion::ignored_with(reason)),
    }
}

/// The variable that turns a skipped trial into a failure, if one does.
pub fn must_run() -> Option<&'static str> {
    let is_set = |(variable, value): &(&str, &str)| env::var(variable).is_ok_and(|is| is == *value);
    [("CI", "true"), (REQUIRE_LIVE, "1")].into_iter().find(is_set).map(|(variable, _)| variable)
}
