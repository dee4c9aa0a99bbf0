//! Rules: what must hold for every program, as data.

use std::fmt;

use oslo_messaging::driver::{Capabilities, Capability};

/// One sentence that the history of every program must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `area::sentence`. It never changes, because flaws and divergences refer to it.
    pub id: &'static str,
    /// The capabilities that a driver must declare for the rule to bind it.
    pub requires: &'static [Capability],
    /// The sentence, which every violation repeats.
    pub says: &'static str,
}

/// One way in which a history breaks a rule; a history may have several of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its id and its sentence begin and end the text of the violation.
    pub rule: &'static Rule,
    /// Whether a divergence of the reference excuses it. An excused violation fails no program.
    pub excused: bool,
    /// Which message or actor broke the rule, and how.
    pub how: String,
}

impl Rule {
    /// Whether the rule binds a driver that declares `capabilities`.
    #[must_use]
    pub(crate) fn binds(&self, capabilities: &Capabilities) -> bool {
        self.requires.iter().all(|capability| capabilities.has(*capability))
    }
}

impl Violation {
    /// A violation that counts, until a divergence is found that names its rule.
    pub(crate) fn new(rule: &'static Rule, how: impl fmt::Display) -> Self {
        Self { rule, excused: false, how: how.to_string() }
    }

    /// It is reported with its divergence and no longer fails the program.
    pub(crate) fn excused(self) -> Self {
        Self { excused: true, ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    the rule: {}", self.rule.id, self.how, self.rule.says)
    }
}

/// Defines the rules of one kind of program: each as a static, and all of them, in the order of
/// the report, as `ALL`. The doc comment of a row is the sentence of the rule; the brackets hold
/// the capabilities without which it does not bind.
macro_rules! rules {
    ($($(#[doc = $says:literal])+ $name:ident = $id:literal [$($requires:ident),*];)*) => {
        $(
            $(#[doc = $says])+
            pub(crate) static $name: $crate::programs::Rule = $crate::programs::Rule {
                id: $id,
                requires: &[$(oslo_messaging::driver::Capability::$requires),*],
                says: concat!($($says),+).trim_ascii_start(),
            };
        )*
        /// Every rule of the kind, in the order of the report.
        pub(crate) static ALL: &[&$crate::programs::Rule] = &[$(&$name),*];
    };
}
pub(crate) use rules;
