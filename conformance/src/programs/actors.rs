//! Which implementation plays a program: this library, the reference in Python, or both.

use std::fmt;
use std::str::FromStr;

/// Which implementation plays the servers and the senders of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actors {
    /// This library, in the process of the test.
    #[default]
    Rust,
    /// The reference implementation, in processes that the harness starts.
    Python,
    /// Either, as the program's seed determines for each actor; both, if there are at least two actors.
    Mixed,
}

impl Actors {
    pub(crate) const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::Mixed];

    /// As `--actors` takes it and reports print it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Mixed => "mixed",
        }
    }

    /// Whether any actor may be a foreign process, which the harness must then offer.
    #[must_use]
    pub fn are_foreign(self) -> bool {
        self != Self::Rust
    }

    /// For each of `count` actors from `first` on, whether it is foreign in the program of `seed`.
    pub(crate) fn choose(self, seed: u64, first: u32, count: usize) -> Vec<bool> {
        let bits = mixed(seed).rotate_right(first);
        let foreign = |place: usize| match self {
            Self::Rust => false,
            Self::Python => true,
            Self::Mixed => bits >> (place % 64) & 1 == 1,
        };
        (0..count).map(foreign).collect()
    }
}

/// Every bit of the result depends on every bit of the seed, so that neighbours among seeds differ (`SplitMix64`).
fn mixed(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

impl fmt::Display for Actors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Actors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|actors| actors.name() == text);
        named.ok_or_else(|| format!("actors are rust, python or mixed, not '{text}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_the_same_actors_again() {
        assert_eq!(Actors::Mixed.choose(7, 0, 4), Actors::Mixed.choose(7, 0, 4));
        assert_ne!(Actors::Mixed.choose(7, 0, 64), Actors::Mixed.choose(8, 0, 64));
        assert_eq!(Actors::Python.choose(7, 0, 2), [true, true]);
        assert_eq!(Actors::Rust.choose(7, 0, 2), [false, false]);
    }

    #[test]
    fn about_half_of_the_mixed_are_foreign() {
        let foreign = (0..1000).filter(|seed| Actors::Mixed.choose(*seed, 0, 1)[0]).count();
        assert!((400..600).contains(&foreign), "{foreign}");
    }

    #[test]
    fn actors_are_read_by_their_names() {
        for actors in Actors::ALL {
            assert_eq!(actors.to_string().parse(), Ok(actors));
        }
        assert_eq!("go".parse::<Actors>(), Err("actors are rust, python or mixed, not 'go'".to_owned()));
    }
}
