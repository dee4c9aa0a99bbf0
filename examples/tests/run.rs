//! Every example runs to its end: on the in-memory broker, and on RabbitMQ where there is one.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Where `cargo xtask test` says that its broker is.
const RABBIT_URL: &str = "OSLO_TEST_RABBIT_URL";

/// The examples, each with something it must print.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "quickstart",
        &[
            "call: bought for 12",
            "cast: north was asked to tidy",
            "fanout: every shop was asked to tidy",
            "the shop was tidied",
            "remote error: shop.errors.OutOfStock: no unicorn left",
        ],
    ),
    ("versions", &["version 2.0: hello from 2.1", "version 2.2: UnsupportedVersion"]),
    ("long_call", &["rebuilt after 3s", "failed within a second: true"]),
    (
        "notify",
        &[
            "notified of order 1",
            "charged order 1 for shop.host-1 (req-1)",
            "try 2 of order 2 failed",
            "dead letter after 2 tries: billing.errors.NoSuchItem: there are no unicorns",
        ],
    ),
    ("batch", &["100 samples: 5050 W\n100 samples: 15050 W\n5 samples: 1015 W"]),
    ("pool", &["everybody: 10, alarms: 10, tap: 10", "the alarms share: true"]),
    ("python_peer", &["echo: {\"k\":[1,\"ü\",null]}", "add: 3", "whoami: \"a server in Rust\""]),
];

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = EXAMPLES
        .iter()
        .flat_map(|(example, printed)| {
            let on_the_fake = Trial::test(format!("{example}_runs_on_the_fake"), || run(example, &[], printed));
            let on_rabbit =
                Trial::ignorable_test(format!("{example}_runs_on_rabbitmq"), || on_rabbit(example, printed));
            [on_the_fake, on_rabbit]
        })
        .collect();
    // Each is about one driver only.
    trials.push(Trial::test("unit_test_runs_on_the_fake", || run("unit_test", &[], &["a timeout of 60 s was tested"])));
    let hub = ["call: it is noon", "event: it struck twelve", "left behind: []"];
    trials.push(Trial::test("own_driver_runs_on_its_hub", move || run("own_driver", &[], &hub)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn on_rabbit(example: &str, printed: &[&str]) -> Result<Completion, Failed> {
    let Ok(url) = std::env::var(RABBIT_URL) else {
        let required = |name, value| std::env::var(name).is_ok_and(|is| is == value);
        if required("CI", "true") || required("OSLO_TEST_REQUIRE_LIVE", "1") {
            return Err(format!("{RABBIT_URL} is not set, and nothing may be skipped here").into());
        }
        return Ok(Completion::ignored_with("it needs RabbitMQ: run `cargo xtask test`"));
    };
    run(example, &["--url", &url], printed).map(|()| Completion::Completed)
}

fn run(example: &str, arguments: &[&str], printed: &[&str]) -> Result<(), Failed> {
    let output = Command::new(built().join(example)).args(arguments).output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{}\n{stdout}{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    match printed.iter().find(|line| !stdout.contains(**line)) {
        Some(missing) => Err(format!("it did not print {missing:?} but\n{stdout}").into()),
        None => Ok(()),
    }
}

/// The folder of the examples' programs. Cargo builds them for `cargo test`, but not for every selection of tests.
fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // Of the whole workspace, as `cargo test` builds them: by itself this package takes fewer features of others, which
        // would be built once more.
        let build = ["build", "--quiet", "--examples", "--workspace"];
        let status = Command::new(cargo).args(build).status();
        assert!(status.is_ok_and(|status| status.success()), "the examples do not build");
        let this = std::env::current_exe().expect("a running program has a path");
        this.ancestors().nth(2).expect("it lies in target/<profile>/deps").join("examples")
    })
}
