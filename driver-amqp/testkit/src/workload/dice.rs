//! Numbers that look random and are the same for the same seed (`SplitMix64`).

use std::env;

use uuid::Uuid;

/// Names the seed; the programs of the conformance suite read it too.
const SEED: &str = "OSLO_TEST_SEED";

#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in `0..bound`, but for a bias that no test sees. `bound` is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("it is less than a usize")
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The seed that the environment names, or a random one.
pub fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("{SEED} needs a number, not '{seed}'")),
        Err(_) => Uuid::new_v4().as_u64_pair().0 >> 32,
    }
}
