//! Divergences: rules that another implementation is excused from.

use std::fmt;

use super::{Rule, Violation};

/// A known difference of the reference implementation from the rules. It fails no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// `reference::sentence`.
    pub id: &'static str,
    /// The rules that foreign actors may break because of it.
    pub rules: &'static [&'static Rule],
    /// What the reference does instead, why, and the source.
    pub says: &'static str,
}

/// A divergence, and the actors or messages that it concerns.
#[derive(Debug)]
pub(crate) struct Excuse<T: 'static> {
    pub(crate) divergence: Divergence,
    /// Which of them it excuses, if they are foreign.
    pub(crate) concerns: fn(&T) -> bool,
}

/// The violations of a check of the program as it was played, then what only `strict` has: the violations of a check as
/// if every actor were of this library. Those are excused if one of `known` names the rule. The lenient check skips a
/// rule also where no divergence names it; that is not an excuse.
pub(crate) fn with_excused(
    mut lenient: Vec<Violation>,
    strict: Vec<Violation>,
    known: &[&Divergence],
) -> Vec<Violation> {
    let is_known = |rule: &Rule| known.iter().any(|divergence| divergence.rules.contains(&rule));
    let excused: Vec<_> = strict.into_iter().filter(|violation| !lenient.contains(violation)).collect();
    let mark = |violation: Violation| if is_known(violation.rule) { violation.excused() } else { violation };
    lenient.extend(excused.into_iter().map(mark));
    lenient
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.id).collect();
        write!(f, "{} (in place of {}): {}", self.id, rules.join(", "), self.says)
    }
}

#[cfg(test)]
mod tests {
    use crate::programs::{Generated, delivery, notify, rpc};

    #[test]
    fn a_divergence_names_the_rules_that_it_breaks_and_where_that_is_to_be_read() {
        fn check<P: Generated>() -> usize {
            let divergences = P::divergences();
            for divergence in &divergences {
                assert!(divergence.id.starts_with("reference::"), "{}", divergence.id);
                assert!(!divergence.rules.is_empty(), "{}", divergence.id);
                assert!(divergence.rules.iter().all(|rule| P::rules().contains(rule)), "{}", divergence.id);
                assert!(divergence.says.contains(".py`"), "{}", divergence.id);
            }
            divergences.len()
        }
        assert!(check::<rpc::Program>() > 0 && check::<notify::Program>() > 0);
        assert_eq!(check::<delivery::Program>(), 0, "its programs have no foreign actors");
    }
}
