//! Every example runs to its end: on the in-memory broker, and on RabbitMQ where there is one.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Where `cargo xtask test` says that its broker is.
const RABBIT_URL: &str = "OSLO_TEST_RABBIT_URL";

/// How long the service may take to get a request, answer it and end.
const LIMIT: Duration = Duration::from_secs(60);

/// The examples, each with something it must print.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "quickstart",
        &[
            "call: bought for 12",
            "cast: north was asked to tidy",
            "fanout: every shop was asked to tidy",
            "the shop was tidied",
            "remote error: no unicorn left",
        ],
    ),
    (
        "upgrade",
        &[
            "without a cap: UnsupportedVersion",
            "host-3 is new",
            "during the upgrade: 0 calls failed",
            "after it: 1.1 rebooted 1, because of a test",
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
    ("pool", &["default: 10, alarms: 10, tap: 10", "the alarms share: true"]),
    ("python_peer", &["echo: {\"k\":[1,\"ü\",null]}", "add: 3", "whoami: \"a server in Rust\""]),
];

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = EXAMPLES
        .iter()
        .flat_map(|(example, printed)| {
            let on_the_fake = Trial::test(format!("{example}_runs_on_the_fake"), || run(example, &[], printed));
            let on_rabbit = Trial::ignorable_test(format!("{example}_runs_on_rabbitmq"), || {
                on_rabbit(|arguments| run(example, arguments, printed))
            });
            [on_the_fake, on_rabbit]
        })
        .collect();
    // Each is about one driver only.
    trials.push(Trial::test("unit_test_runs_on_the_fake", || run("unit_test", &[], &["a timeout of 60 s was tested"])));
    trials.push(Trial::test("service_drains_on_sigterm_on_the_fake", || service(&[])));
    trials.push(Trial::ignorable_test("service_drains_on_sigterm_on_rabbitmq", || on_rabbit(service)));
    let hub = ["call: it is noon", "event: it struck twelve", "left behind: []"];
    trials.push(Trial::test("own_driver_runs_on_its_hub", move || run("own_driver", &[], &hub)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Calls `run` with the arguments for the broker that the environment names, if it names one.
fn on_rabbit(run: impl FnOnce(&[&str]) -> Result<(), Failed>) -> Result<Completion, Failed> {
    let Ok(url) = std::env::var(RABBIT_URL) else {
        let required = |name, value| std::env::var(name).is_ok_and(|is| is == value);
        if required("CI", "true") || required("OSLO_TEST_REQUIRE_LIVE", "1") {
            return Err(format!("{RABBIT_URL} is not set, and nothing may be skipped here").into());
        }
        return Ok(Completion::ignored_with("OSLO_TEST_RABBIT_URL is not set: run `cargo xtask test`"));
    };
    run(&["--url", &url]).map(|()| Completion::Completed)
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

/// Stops the service while it handles a request: the request is answered, and the program ends well.
fn service(arguments: &[&str]) -> Result<(), Failed> {
    let mut command = Command::new(built().join("service"));
    command.args(["--request", "1500"]).args(arguments).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    // A service that does not get so far must not keep the test.
    let (ended, end) = mpsc::channel::<()>();
    let id = child.id().to_string();
    let kill = move |signal: &str| Command::new("kill").args([signal, &id]).status();
    let watchdog = kill.clone();
    std::thread::spawn(move || end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) && watchdog("-KILL").is_ok());
    let mut lines = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
    let mut printed = Vec::new();
    let mut read_to = |end: Option<&str>| {
        for line in lines.by_ref() {
            printed.push(line?);
            if end == printed.last().map(String::as_str) {
                break;
            }
        }
        std::io::Result::Ok(printed.join("\n"))
    };
    read_to(Some("packing for 1500 ms"))?;
    let signalled = kill("-TERM")?;
    let printed = read_to(None)?;
    let status = child.wait()?;
    drop(ended);
    let expected = "serving\npacking for 1500 ms\nSIGTERM: draining for 20s at most\npacked in 1500 ms\ndrained";
    if signalled.success() && status.success() && printed == expected {
        return Ok(());
    }
    Err(format!("{status}\n{printed}").into())
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
