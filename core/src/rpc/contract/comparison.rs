//! Which version a change of a contract needs. Pure: no file, no environment.
//!
//! A server refuses arguments that it does not know and lacks those that it needs, so what callers can notice needs a new
//! major version, and what only adds needs a `since` above the version that callers know.

use super::{ArgumentEntry, Contract, MethodEntry};
use crate::version::Version;
use crate::{Error, Result};

/// One difference between a contract and the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// What changed, in words.
    pub(super) what: String,
    pub(super) need: Need,
}

/// What a change needs to be compatible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing more: no caller notices, or the version says it already.
    Nothing,
    /// This version of the interface, which is a new major.
    Version(String),
    /// A `since` of this version.
    Since(String),
}

/// Collects the changes of one contract.
struct Comparison<'a> {
    before: &'a Contract,
    /// What callers know.
    known: Version,
    changes: Vec<Change>,
}

/// The differences of `now` from `before`, with what each needs.
///
/// # Errors
/// If a version in one of them is none.
pub(super) fn changes(before: &Contract, now: &Contract) -> Result<Vec<Change>> {
    let (known, version): (Version, Version) = (before.version.parse()?, now.version.parse()?);
    let mut comparison = Comparison { before, known, changes: Vec::new() };
    comparison.compare(now)?;
    let mut changes = comparison.changes;
    // A new major version is another interface: callers of the old one do not reach it.
    if version.major > known.major {
        for change in &mut changes {
            change.need = Need::Nothing;
        }
    }
    let is_lower = (version.major, version.minor) < (known.major, known.minor);
    if before.version != now.version {
        let need = if is_lower { Need::Version(before.version.clone()) } else { Need::Nothing };
        changes.push(Change { what: format!("the version was {} and is {}", before.version, now.version), need });
    }
    Ok(changes)
}

impl Comparison<'_> {
    fn compare(&mut self, now: &Contract) -> Result<()> {
        if self.before.namespace != now.namespace {
            self.breaks("the namespace is another".to_owned());
        }
        match (self.before.ignores_unknown, now.ignores_unknown) {
            (true, false) => self.breaks("unknown arguments are refused".to_owned()),
            (false, true) => self.adds("unknown arguments are ignored".to_owned()),
            _ => {}
        }
        for (name, method) in &self.before.methods {
            match now.methods.get(name) {
                Some(other) => self.method(name, method, other)?,
                None => self.breaks(format!("the method `{name}` was removed")),
            }
        }
        for (name, method) in &now.methods {
            if !self.before.methods.contains_key(name) {
                self.came(format!("the method `{name}` is new"), &method.since)?;
            }
        }
        Ok(())
    }

    fn method(&mut self, name: &str, before: &MethodEntry, now: &MethodEntry) -> Result<()> {
        if before.since != now.since {
            self.breaks(format!("`since` of `{name}` changed from {} to {}", before.since, now.since));
        }
        if before.cast != now.cast {
            self.breaks(format!("`{name}` is {} a cast", if now.cast { "now" } else { "no longer" }));
        }
        if before.returns != now.returns {
            self.breaks(format!("`{name}` returned {} and returns {}", before.returns, now.returns));
        }
        for class in before.raises.iter().filter(|class| !now.raises.contains(class)) {
            self.breaks(format!("`{name}` no longer raises {class}"));
        }
        for class in now.raises.iter().filter(|class| !before.raises.contains(class)) {
            self.adds(format!("`{name}` raises {class}"));
        }
        for (argument, entry) in &before.arguments {
            match now.arguments.get(argument) {
                Some(other) => self.argument(&format!("the argument `{argument}` of `{name}`"), entry, other),
                None => self.breaks(format!("the argument `{argument}` of `{name}` was removed")),
            }
        }
        for (argument, entry) in &now.arguments {
            if before.arguments.contains_key(argument) {
                continue;
            }
            let what = format!("the argument `{argument}` of `{name}` is new");
            if entry.required { self.breaks(what + " and required") } else { self.came(what, &entry.since)? }
        }
        Ok(())
    }

    fn argument(&mut self, which: &str, before: &ArgumentEntry, now: &ArgumentEntry) {
        if before.ty != now.ty {
            self.breaks(format!("{which} was {} and is {}", before.ty, now.ty));
        }
        if before.since != now.since {
            self.breaks(format!("`since` of {which} changed from {} to {}", before.since, now.since));
        }
        match (before.required, now.required) {
            (false, true) => self.breaks(format!("{which} is required")),
            (true, false) => self.adds(format!("{which} is optional")),
            _ if before.default != now.default => self.breaks(format!("{which} has another default")),
            _ => {}
        }
        for alias in before.aliases.iter().filter(|alias| !now.aliases.contains(alias)) {
            self.breaks(format!("{which} is no longer read as `{alias}`"));
        }
        for alias in now.aliases.iter().filter(|alias| !before.aliases.contains(alias)) {
            self.adds(format!("{which} is also read as `{alias}`"));
        }
    }

    /// Callers that know the contract before notice it.
    fn breaks(&mut self, what: String) {
        let need = Need::Version(format!("{}.0", self.known.major + 1));
        self.changes.push(Change { what, need });
    }

    /// No caller notices it.
    fn adds(&mut self, what: String) {
        self.changes.push(Change { what, need: Need::Nothing });
    }

    /// Callers may use it who must not reach a server of the version before.
    fn came(&mut self, what: String, since: &str) -> Result<(), Error> {
        let since: Version = since.parse()?;
        let need = if (since.major, since.minor) > (self.known.major, self.known.minor) {
            Need::Nothing
        } else {
            Need::Since(format!("{}.{}", self.known.major, self.known.minor + 1))
        };
        self.changes.push(Change { what, need });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A contract at 1.3 whose parts `change` replaces, by their JSON pointers; `null` removes one.
    fn contract(change: &[(&str, Value)]) -> Contract {
        let mut whole = json!({
            "namespace": "base",
            "version": "1.3",
            "methods": {"reboot": {
                "since": "1.0",
                "arguments": {
                    "id": {"type": "u64", "since": "1.0", "required": true},
                    "hard": {"type": "bool", "since": "1.2", "required": false, "default": false},
                },
                "returns": "String",
                "raises": ["nova.exception.InstanceNotFound"],
            }},
        });
        for (pointer, value) in change {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = whole.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            if value.is_null() {
                parent.remove(name);
            } else {
                parent.insert(name.to_owned(), value.clone());
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn needs(change: &[(&str, Value)]) -> Vec<Need> {
        changes(&contract(&[]), &contract(change)).unwrap().into_iter().map(|change| change.need).collect()
    }

    #[test]
    fn what_a_caller_can_notice_needs_a_new_major_version() {
        let required = json!({"type": "u8", "since": "1.3", "required": true});
        for change in [
            ("/namespace", json!("other")),
            ("/methods/reboot", Value::Null),
            ("/methods/reboot/since", json!("1.1")),
            ("/methods/reboot/cast", json!(true)),
            ("/methods/reboot/returns", json!("bool")),
            ("/methods/reboot/raises", json!([])),
            ("/methods/reboot/arguments/id", Value::Null),
            ("/methods/reboot/arguments/id/type", json!("String")),
            ("/methods/reboot/arguments/hard/default", json!(true)),
            ("/methods/reboot/arguments/hard/required", json!(true)),
            ("/methods/reboot/arguments/why", required),
        ] {
            assert_eq!(needs(std::slice::from_ref(&change)), [Need::Version("2.0".to_owned())], "{change:?}");
            let raised = [change, ("/version", json!("2.0"))];
            assert!(needs(&raised).iter().all(|need| *need == Need::Nothing), "{raised:?}");
        }
    }

    #[test]
    fn what_came_needs_a_since_above_the_version_that_callers_know() {
        fn method(since: &str) -> Value {
            json!({"since": since, "arguments": {}, "returns": "()", "raises": []})
        }
        fn argument(since: &str) -> Value {
            json!({"type": "bool", "since": since, "required": false, "default": false})
        }
        let method: fn(&str) -> Value = method;
        for (at, make) in [("/methods/stop", method), ("/methods/reboot/arguments/soon", argument)] {
            assert_eq!(needs(&[(at, make("1.3"))]), [Need::Since("1.4".to_owned())], "{at}");
            let right = [(at, make("1.4")), ("/version", json!("1.4"))];
            assert_eq!(needs(&right), [Need::Nothing, Need::Nothing], "{at}");
        }
    }

    #[test]
    fn what_no_caller_notices_needs_nothing_and_a_version_does_not_go_back() {
        assert!(needs(&[]).is_empty());
        let raises = json!(["nova.exception.InstanceNotFound", "builtins.ValueError"]);
        assert_eq!(needs(&[("/methods/reboot/raises", raises)]), [Need::Nothing]);
        assert_eq!(needs(&[("/ignores_unknown", json!(true))]), [Need::Nothing]);
        assert_eq!(needs(&[("/version", json!("1.2"))]), [Need::Version("1.3".to_owned())]);
    }
}
