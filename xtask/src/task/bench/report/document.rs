//! The table and the plots in docs/performance.md.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use xtask::workspace_root;

use super::{Report, plots};
use crate::task::bench::directory;

/// The page, and the folder of its plots, from the root of the workspace.
const PAGE: &str = "docs/performance.md";
const PLOTS: &str = "docs/performance";

/// The place of the table: comments, which Markdown does not show.
const MARKS: [&str; 2] = ["<!-- bench -->\n", "<!-- /bench -->\n"];

/// Puts the table into the page, and the plots that `target/bench` has beside it.
///
/// # Errors
/// When the page has no place for the table, or a file cannot be written.
pub(crate) fn update(report: &Report) -> Result<()> {
    let page = workspace_root().join(PAGE);
    let text = fs::read_to_string(&page).with_context(|| format!("could not read {PAGE}"))?;
    let mut content = report.markdown();
    let folder = workspace_root().join(PLOTS);
    fs::create_dir_all(&folder)?;
    for (name, title) in plots::NAMES {
        let plot = directory().join(name);
        if plot.exists() {
            fs::copy(&plot, folder.join(name)).with_context(|| format!("could not copy {}", plot.display()))?;
            let _ = writeln!(content, "\n![{title}](performance/{name})");
        }
    }
    let text = embed(&text, &content).with_context(|| format!("{PAGE} has no place for the table"))?;
    fs::write(&page, text).with_context(|| format!("could not write {PAGE}"))
}

/// Replaces what is between the marks.
fn embed(text: &str, content: &str) -> Option<String> {
    let [begin, end] = MARKS.map(|mark| text.find(mark));
    let (begin, end) = (begin? + MARKS[0].len(), end?);
    (begin <= end).then(|| format!("{}\n{content}\n{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced() {
        let text = format!("before\n{}old\n{}after\n", MARKS[0], MARKS[1]);
        assert_eq!(embed(&text, "new\n").unwrap(), format!("before\n{}\nnew\n\n{}after\n", MARKS[0], MARKS[1]));
        assert_eq!(embed("no marks", "new"), None);
    }
}
