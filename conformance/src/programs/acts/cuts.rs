//! When every connection was lost in the middle of a program. Pure.

/// The place in a history that was not reached.
const NEVER: usize = usize::MAX;

/// The losses of one history, each from one place in it to another.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Vec<Cut>);

#[derive(Debug)]
struct Cut {
    /// The number of its step.
    number: usize,
    from: usize,
    to: usize,
    error: Option<String>,
}

impl Cuts {
    /// The connections are lost from here on.
    pub(crate) fn begin(&mut self, number: usize, at: usize) {
        self.0.push(Cut { number, from: at, to: NEVER, error: None });
    }

    /// All are back, or there is an `error`.
    pub(crate) fn end(&mut self, number: usize, at: usize, error: Option<String>) {
        if let Some(cut) = self.0.iter_mut().find(|cut| cut.number == number) {
            (cut.to, cut.error) = (at, error);
        }
    }

    /// Whether connections were lost at some time from `from` to `to`.
    pub(crate) fn between(&self, from: usize, to: usize) -> bool {
        self.0.iter().any(|cut| cut.from < to && from < cut.to)
    }

    /// How often connections were lost at some time from `from` on.
    pub(crate) fn since(&self, from: usize) -> usize {
        self.0.iter().filter(|cut| from < cut.to).count()
    }

    /// What is wrong with those after which not every connection came back.
    pub(crate) fn unmended(&self) -> impl Iterator<Item = String> + '_ {
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
    fn what_touches_a_cut_is_between_it_and_nothing_else_is() {
        let mut cuts = Cuts::default();
        cuts.begin(7, 10);
        assert!(cuts.between(11, 12) && cuts.between(0, 11) && !cuts.between(0, 10));
        cuts.end(7, 20, None);
        assert!(cuts.between(19, 30) && !cuts.between(20, 30));
    }

    #[test]
    fn only_what_came_back_is_mended() {
        let mut cuts = Cuts::default();
        for number in 0..3 {
            cuts.begin(number, number);
        }
        cuts.end(0, 5, None);
        cuts.end(1, 6, Some("it is lost".to_owned()));
        assert_eq!(cuts.unmended().collect::<Vec<_>>(), ["a cut ended with: it is lost", "a cut never ended"]);
    }
}
