//! What the compiler says of services that cannot be called, and that those which can be are compiled.
//!
//! The texts are those of one compiler. With another one the test is listed as ignored, and says why.

#![allow(clippy::print_stderr, reason = "what is left out is shown")]

use std::env;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use trybuild::TestCases;

/// The release whose messages are recorded.
const PINNED: &str = "rustc 1.95.";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let compiler = compiler();
    let is_pinned = compiler.starts_with(PINNED);
    if !is_pinned {
        eprintln!("messages: LEFT OUT: the texts are those of {PINNED}x, and this is {compiler}");
    }
    let trial =
        Trial::test("every_wrong_service_is_refused_on_its_token_with_the_remedy_and_a_right_one_is_not", || {
            let cases = TestCases::new();
            for folder in ["argument", "exception", "layer", "method", "service", "types"] {
                cases.compile_fail(format!("tests/messages/{folder}/*.rs"));
            }
            cases.pass("tests/messages/right/*.rs");
            Ok(())
        });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!is_pinned)]).exit_code()
}

/// What the compiler that cargo uses says of itself.
fn compiler() -> String {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_else(|error| format!("not known: {error}"))
}
