//! The test suites of the workspace: what cargo built, and which of them need a broker.

use std::collections::HashSet;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use xtask::process::command::{cargo, supervise};
use xtask::process::interrupt::Interrupt;

/// One test executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suite {
    /// The package and the target, as a reader would name them.
    pub(crate) name: String,
    /// What cargo prints when it runs it.
    pub(crate) executable: PathBuf,
    /// The package's, in which its tests run.
    pub(crate) directory: PathBuf,
    /// Whether it talks to a real broker, so that skipping it is a failure.
    pub(crate) live: bool,
}

/// Builds the tests that `arguments` leave, by default all, and returns the suites among what was built.
///
/// # Errors
/// When something does not compile, or when we are interrupted.
pub(crate) fn build(arguments: &[String], interrupt: &Interrupt) -> Result<Vec<Suite>> {
    let mut command = cargo(&["test", "--no-run", "--message-format=json-render-diagnostics"]);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("could not start cargo")?;
    let output = child.stdout.take().expect("standard output was piped");
    let reader = std::thread::spawn(move || std::io::read_to_string(output));
    let status = supervise(child, interrupt)?;
    let messages = reader.join().expect("reading does not panic")?;
    if !status.success() {
        bail!("the tests do not build");
    }
    let with_live = packages_with_live_tests()?;
    Ok(messages.lines().filter_map(|line| suite_of(line, &with_live)).collect())
}

/// The ids of the packages that use this one: they do so for the node that it starts.
fn packages_with_live_tests() -> Result<HashSet<String>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version=1"]).output().context("could not start cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    Ok(live_packages(&metadata))
}

fn live_packages(metadata: &Value) -> HashSet<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let uses_this = |package: &&Value| {
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        dependencies.iter().any(|dependency| dependency["name"] == env!("CARGO_PKG_NAME"))
    };
    packages.iter().filter(uses_this).filter_map(|package| Some(package["id"].as_str()?.to_owned())).collect()
}

/// The suite that one message of cargo's build tells of, if it tells of one.
fn suite_of(line: &str, with_live: &HashSet<String>) -> Option<Suite> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let executable = message["executable"].as_str()?;
    let id = message["package_id"].as_str()?;
    let target = message["target"]["name"].as_str()?;
    let kind = message["target"]["kind"][0].as_str()?;
    Some(Suite {
        name: format!("{} {kind} {target}", package_name(id, target)),
        executable: executable.into(),
        directory: PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned(),
        live: kind == "test" && with_live.contains(id),
    })
}

/// The name in a package id: `path+file:///w/driver-amqp#oslo-messaging-amqp@0.1.0`, or without a name when it is the
/// directory's.
fn package_name<'a>(id: &'a str, otherwise: &'a str) -> &'a str {
    let (location, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.rsplit_once('@') {
        Some((name, _)) => name,
        None => location.rsplit('/').next().unwrap_or(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AMQP: &str = "path+file:///w/driver-amqp#oslo-messaging-amqp@0.1.0";

    fn artifact(kind: &str, test: bool) -> String {
        json!({
            "reason": "compiler-artifact", "package_id": AMQP, "target": {"kind": [kind], "name": "interop"},
            "profile": {"test": test}, "executable": "/t/debug/deps/interop-0",
            "manifest_path": "/w/driver-amqp/Cargo.toml",
        })
        .to_string()
    }

    #[test]
    fn an_integration_test_of_a_package_that_uses_the_node_is_live() {
        let suite = suite_of(&artifact("test", true), &HashSet::from([AMQP.to_owned()])).unwrap();
        assert_eq!(suite.name, "oslo-messaging-amqp test interop");
        assert!(suite.live);
        assert_eq!(suite.directory, PathBuf::from("/w/driver-amqp"));
    }

    #[test]
    fn unit_tests_and_other_packages_are_not_live() {
        assert!(!suite_of(&artifact("lib", true), &HashSet::from([AMQP.to_owned()])).unwrap().live);
        assert!(!suite_of(&artifact("test", true), &HashSet::new()).unwrap().live);
    }

    #[test]
    fn what_is_no_test_is_no_suite() {
        assert_eq!(suite_of(&artifact("bin", false), &HashSet::new()), None);
        assert_eq!(suite_of("warning: not a message", &HashSet::new()), None);
    }

    #[test]
    fn packages_that_depend_on_this_one_have_live_tests() {
        let metadata = json!({"packages": [
            {"id": "a", "dependencies": [{"name": "xtask"}]},
            {"id": "b", "dependencies": [{"name": "tokio"}]},
        ]});
        assert_eq!(live_packages(&metadata), HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn a_package_named_as_its_directory_is_found_in_its_path() {
        assert_eq!(package_name("path+file:///w/xtask#0.1.0", "other"), "xtask");
    }
}
