//! When every connection was cut in the middle of a program. Pure.

/// The position of what did not happen: after every event.
const NEVER: usize = usize::MAX;

/// The cuts of one history, each from one position to another.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Vec<Cut>);

/// Connections may be lost anywhere between the two positions.
#[derive(Debug)]
struct Cut {
    /// The number of its step, by which [`Cuts::end`] finds it.
    number: usize,
    /// No connection was lost before this position.
    from: usize,
    /// The position at which all connections were back, or [`NEVER`].
    to: usize,
    /// Why a connection was not restored; `None` while the cut lasts too.
    error: Option<String>,
}

impl Cuts {
    /// Connections are lost from position `at` on.
    pub(crate) fn begin(&mut self, number: usize, at: usize) {
        self.0.push(Cut { number, from: at, to: NEVER, error: None });
    }

    /// All connections are restored at position `at`, or `error` says why not.
    pub(crate) fn end(&mut self, number: usize, at: usize, error: Option<String>) {
        if let Some(cut) = self.0.iter_mut().find(|cut| cut.number == number) {
            (cut.to, cut.error) = (at, error);
        }
    }

    /// Whether any cut overlaps the positions from `from` to `to`.
    pub(crate) fn between(&self, from: usize, to: usize) -> bool {
        self.0.iter().any(|cut| cut.from < to && from < cut.to)
    }

    /// How many cuts had not ended before the position `from`.
    pub(crate) fn since(&self, from: usize) -> usize {
        self.0.iter().filter(|cut| from < cut.to).count()
    }

    /// The cuts after which a connection was not restored, as violations describe them.
    pub(crate) fn unrestored(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().filter_map(|cut| match &cut.error {
            Some(error) => Some(format!("a cut ended with: {error}")),
            None => (cut.to == NEVER).then(|| "a cut never ended".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_overlapping_positions_touch_a_cut() {
        let mut cuts = Cuts::default();
        cuts.begin(7, 10);
        assert!(cuts.between(11, 12) && cuts.between(0, 11) && !cuts.between(0, 10));
        cuts.end(7, 20, None);
        assert!(cuts.between(19, 30) && !cuts.between(20, 30));
    }

    #[test]
    fn a_cut_that_fails_or_never_ends_is_not_restored() {
        let mut cuts = Cuts::default();
        for number in 0..3 {
            cuts.begin(number, number);
        }
        cuts.end(0, 5, None);
        cuts.end(1, 6, Some("it is lost".to_owned()));
        assert_eq!(cuts.unrestored().collect::<Vec<_>>(), ["a cut ended with: it is lost", "a cut never ended"]);
    }
}
