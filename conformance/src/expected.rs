//! The pinned list of the cases that run, so that no case stops running unnoticed.

use std::collections::BTreeSet;

/// The line of a case in the list; `excuse` is why it does not run.
pub(crate) fn line(id: &str, excuse: Option<&str>) -> String {
    match excuse {
        None => id.to_owned(),
        Some(excuse) => format!("{id} # not run: {excuse}"),
    }
}

/// The differences to the pinned list: `+` for lines that it misses, `-` for lines that no longer apply.
/// Order and empty lines do not matter.
pub(crate) fn drift(pinned: &str, ran: &BTreeSet<String>) -> Vec<String> {
    let pinned: BTreeSet<String> =
        pinned.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let added = ran.difference(&pinned).map(|line| format!("+ {line}"));
    let gone = pinned.difference(ran).map(|line| format!("- {line}"));
    added.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_same_lines_in_any_order_are_no_drift() {
        assert_eq!(drift("b::c\n\na::b\n", &ran(&["a::b", "b::c"])), [""; 0]);
    }

    #[test]
    fn stopped_and_new_cases_are_both_reported() {
        let now = ran(&["new::case", &line("old::case", Some("the driver lacks Fanout"))]);
        let drift = drift("old::case", &now);
        assert_eq!(drift, ["+ new::case", "+ old::case # not run: the driver lacks Fanout", "- old::case"]);
    }
}
