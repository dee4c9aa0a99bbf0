//! Medians and spreads. Pure.

/// The middle of some values, and how far they reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of all values; `None` without one.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { median, least, most })
    }

    /// How far the values lie apart, as a share of the median.
    pub(super) fn width(self) -> f64 {
        if self.most > self.least { (self.most - self.least) / self.median } else { 0.0 }
    }
}

/// The ratios of what was measured in the same round. A round that lacks one of the two has none.
pub(super) fn ratios(of: &[Option<f64>], to: &[Option<f64>]) -> Vec<f64> {
    let pairs = of.iter().zip(to).filter_map(|(of, to)| Some(((*of)?, (*to)?)));
    pairs.filter(|(_, to)| *to != 0.0).map(|(of, to)| of / to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let odd = Spread::of(&[5.0, 1.0, 3.0]).unwrap();
        assert_eq!(odd, Spread { median: 3.0, least: 1.0, most: 5.0 });
        assert!((Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median - 2.5).abs() < 1e-9);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn the_width_is_relative_to_the_median() {
        assert!((Spread::of(&[0.8, 1.0, 1.1]).unwrap().width() - 0.3).abs() < 1e-9);
        assert!(Spread::of(&[0.0, 0.0]).unwrap().width().abs() < 1e-9);
    }

    #[test]
    fn only_what_was_measured_in_the_same_round_makes_a_pair() {
        let of = [Some(2.0), None, Some(9.0), Some(1.0)];
        let to = [Some(4.0), Some(1.0), Some(3.0), Some(0.0)];
        assert_eq!(ratios(&of, &to), [0.5, 3.0]);
        assert_eq!(ratios(&of, &to[..1]), [0.5]);
    }
}
