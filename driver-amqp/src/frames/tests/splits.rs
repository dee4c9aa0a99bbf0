//! Runs the checks of the frame reader on random input.
//!
//! One quick run by proptest, which shrinks a failure, one long run on request, and the corpus of the fuzz target.

use std::time::Instant;

use proptest::prelude::*;

use crate::frames::check::check;

/// How many inputs are tried; each is made of up to [`LONGEST`] bytes.
const TIMES: &str = "OSLO_TEST_FRAMES";
/// So many inputs take a moment. A long run sets the variable.
const BY_DEFAULT: u64 = 300;
/// In bytes. A shorter input is as valid, because zeros stand in for what it lacks.
const LONGEST: u64 = 400;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// proptest shrinks an input that fails.
    #[test]
    fn the_output_does_not_depend_on_how_the_stream_is_split(input in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&input);
    }
}

/// As many inputs as `OSLO_TEST_FRAMES` says, faster than proptest makes them. One that fails is printed.
#[test]
fn no_input_is_too_much_and_lapin_can_take_what_comes_of_each() {
    let times = std::env::var(TIMES).map_or(BY_DEFAULT, |times| times.parse().expect("a number"));
    let seed = std::env::var("OSLO_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x05_10_u64);
    let mut dice = Dice(seed);
    let begun = Instant::now();
    for _ in 0..times {
        let before = dice.0;
        let length = dice.next() % LONGEST;
        let input: Vec<u8> = (0..length).map(|_| dice.next().to_le_bytes()[3]).collect();
        let sound = std::panic::catch_unwind(|| check(&input));
        assert!(sound.is_ok(), "OSLO_TEST_SEED={before} OSLO_TEST_FRAMES=1 fails");
    }
    eprintln!("{times} inputs in {:?}", begun.elapsed());
}

/// What the fuzz target starts from, and what was found.
#[test]
fn every_input_of_the_corpus_holds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/frames/tests/corpus");
    let inputs: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 3);
    for input in inputs {
        eprintln!("{}", input.display());
        check(&std::fs::read(input).unwrap());
    }
}

/// `SplitMix64`: good enough for tests, without a dependency, and its state is one number.
struct Dice(u64);

impl Dice {
    /// The state after it is the seed of the next input, so a failure can be repeated alone.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
