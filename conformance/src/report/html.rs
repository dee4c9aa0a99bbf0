//! The page: one HTML file without external resources.

use std::fmt::{self, Display, Write as _};

use super::table::Counts;
use super::{Ended, Excused, FlawRun, ProgramRun, Records};
use crate::cases;

/// Inlined, because the page must not need other files.
const STYLE: &str = include_str!("style.css");

impl Records {
    /// Renders a page with summary, failures, programs, cases and flaws. `note` describes the run.
    /// Texts from records are escaped; only `style.css` is inserted as it is.
    #[must_use]
    pub fn html(&self, note: &str) -> String {
        let mut page = String::new();
        self.write_page(&mut page, note).expect("writing to a string does not fail");
        page
    }

    /// The order is fixed: summary, failures, programs, cases, flaws. Failures, programs and flaws may be left out.
    fn write_page(&self, page: &mut String, note: &str) -> fmt::Result {
        writeln!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Conformance</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Conformance</h1>\n<p>{}</p>",
            Text(note)
        )?;
        self.write_cards(page)?;
        self.write_failures(page)?;
        self.write_programs(page)?;
        self.write_cases(page)?;
        self.write_flaws(page)?;
        page.write_str("</body>\n</html>\n")
    }

    /// A card for each driver, with its numbers by result.
    fn write_cards(&self, page: &mut String) -> fmt::Result {
        page.write_str("<div class=\"cards\">\n")?;
        for driver in self.drivers() {
            let counts = Counts::of(self.cases_of(driver));
            write!(page, "<div class=\"card\"><h3>{}</h3>", Text(driver))?;
            let kinds = [(counts.passed, "passed"), (counts.failed, "failed"), (counts.ignored, "ignored")];
            for (count, class) in kinds.into_iter().filter(|(count, _)| *count > 0) {
                write!(page, "<div class=\"{class}\">{count} cases {class}</div>")?;
            }
            for run in self.programs_of(driver) {
                let class = class(&run.ended);
                write!(page, "<div class=\"{class}\">{} {} programs, ", run.programs, Text(&run.kind))?;
                write!(page, "{}: {}</div>", Text(&run.actors), word(&run.ended))?;
            }
            let (caught, flaws) =
                (self.flaws_of(driver).filter(|run| run.caught()).count(), self.flaws_of(driver).count());
            if flaws > 0 {
                let class = if caught == flaws { "passed" } else { "failed" };
                write!(page, "<div class=\"{class}\">{caught} of {flaws} flaws caught</div>")?;
            }
            page.write_str("</div>\n")?;
        }
        page.write_str("</div>\n")
    }

    /// Writes the messages of all failures at the top of the page.
    fn write_failures(&self, page: &mut String) -> fmt::Result {
        let mut failures = Vec::new();
        for driver in self.drivers() {
            let cases = self.cases_of(driver).map(|run| (run.case.as_str(), &run.ended));
            let programs = self.programs_of(driver).map(|run| (run.kind.as_str(), &run.ended));
            for (what, ended) in cases.chain(programs) {
                if let Ended::Failed(how) = ended {
                    failures.push((driver, what, how));
                }
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        page.write_str("<h2>What failed</h2>\n")?;
        for (driver, what, how) in failures {
            writeln!(page, "<p>{}: <code>{}</code></p>\n<pre>{}</pre>", Text(driver), Text(what), Text(how))?;
        }
        Ok(())
    }

    /// Left out if no record holds programs. A row for each driver and run.
    fn write_programs(&self, page: &mut String) -> fmt::Result {
        if self.kinds().is_empty() {
            return Ok(());
        }
        let names = [
            "driver",
            "kind",
            "actors",
            "programs",
            "steps",
            "rules",
            "seed of the first",
            "seconds",
            "excused",
            "ended",
        ];
        page.write_str("<h2>Generated programs</h2>\n")?;
        open(page, &names)?;
        page.write_str("<tbody>\n")?;
        for driver in self.drivers() {
            for run in self.programs_of(driver) {
                write_program(page, driver, run)?;
            }
        }
        close(page)
    }

    /// A row for each case and a column for each driver; the title of a cell is the reason of its result.
    fn write_cases(&self, page: &mut String) -> fmt::Result {
        let drivers = self.drivers();
        let names: Vec<&str> = [""].into_iter().chain(drivers.iter().copied()).collect();
        page.write_str(
            "<h2>Cases</h2>\n<p>What a case checks stands in its title; so does why one was not run.</p>\n",
        )?;
        open(page, &names)?;
        for (group, ids) in self.groups() {
            let columns = drivers.len() + 1;
            writeln!(page, "<tbody class=\"group\"><tr><th colspan=\"{columns}\">{}</th></tr>", Text(group))?;
            for id in ids {
                let sentence = id.split_once("::").map_or(id, |(_, sentence)| sentence).replace('_', " ");
                let cites = cases().find(|case| case.id == id).map_or("", |case| case.cites);
                write!(page, "<tr><td title=\"{}\">{}</td>", Text(cites), Text(&sentence))?;
                for driver in &drivers {
                    match self.cases_of(driver).find(|run| run.case == id) {
                        None => page.write_str("<td class=\"cell ignored\">–</td>")?,
                        Some(run) => write_cell(page, &run.ended, run.seconds)?,
                    }
                }
                page.write_str("</tr>\n")?;
            }
            page.write_str("</tbody>\n")?;
        }
        page.write_str("</table></div>\n")
    }

    /// A table for each driver with flaws.
    fn write_flaws(&self, page: &mut String) -> fmt::Result {
        for driver in self.drivers() {
            if self.flaws_of(driver).next().is_none() {
                continue;
            }
            writeln!(page, "<h2>Flaws put into {}</h2>", Text(driver))?;
            page.write_str(
                "<p>The suite under test: each must be caught by the case and the rule that it names.</p>\n",
            )?;
            open(page, &["flaw", "case", "rule of the programs", "caught after"])?;
            page.write_str("<tbody>\n")?;
            for run in self.flaws_of(driver) {
                write_flaw(page, run)?;
            }
            close(page)?;
        }
        Ok(())
    }
}

/// The caller must end the table with [`close`].
fn open(page: &mut String, names: &[&str]) -> fmt::Result {
    page.write_str("<div class=\"scroll\"><table>\n<thead><tr>")?;
    for name in names {
        write!(page, "<th>{}</th>", Text(name))?;
    }
    page.write_str("</tr></thead>\n")
}

/// Ends the body, the table and its scroll box.
fn close(page: &mut String) -> fmt::Result {
    page.write_str("</tbody></table></div>\n")
}

/// The last cell has the reason of the result as its title; the one before names the excused rules.
fn write_program(page: &mut String, driver: &str, run: &ProgramRun) -> fmt::Result {
    write!(page, "<tr><td>{}</td><td>{}</td><td>{}</td>", Text(driver), Text(&run.kind), Text(&run.actors))?;
    write!(page, "<td>{}</td><td>{}</td><td>{}</td><td>{}</td>", run.programs, run.steps, run.rules, run.seed)?;
    write!(page, "<td>{:.1}</td>", run.seconds)?;
    page.write_str("<td>")?;
    for (place, Excused { rule, by, times }) in run.excused.iter().enumerate() {
        let by: Vec<String> = by.iter().map(|id| format!("<code>{}</code>", Text(id))).collect();
        let before = if place == 0 { "" } else { ", " };
        write!(page, "{before}{times} times from <code>{}</code> by {}", Text(rule), by.join(" or "))?;
    }
    page.write_str("</td>")?;
    let (class, why) = (class(&run.ended), why(&run.ended));
    writeln!(page, "<td class=\"{class}\" title=\"{}\">{}</td></tr>", Text(why), word(&run.ended))
}

/// A passed cell shows its duration in seconds; any other shows its result and has the reason as its title.
fn write_cell(page: &mut String, ended: &Ended, seconds: f64) -> fmt::Result {
    let class = class(ended);
    match ended {
        Ended::Passed => write!(page, "<td class=\"cell passed\">✓ <small>{seconds:.2} s</small></td>"),
        Ended::Failed(why) | Ended::Ignored(why) => {
            write!(page, "<td class=\"cell {class}\" title=\"{}\">{}</td>", Text(why), word(ended))
        }
    }
}

/// A flaw that no program broke is marked as failed, with `never` for the number of programs.
fn write_flaw(page: &mut String, run: &FlawRun) -> fmt::Result {
    let class_of = |caught: bool| if caught { "passed" } else { "failed" };
    write!(page, "<tr><td>{}</td>", Text(&run.flaw))?;
    write!(page, "<td class=\"{}\"><code>{}</code></td>", class_of(run.case_caught), Text(&run.case))?;
    let rule = Text(&run.rule);
    match run.programs {
        Some(programs) => {
            writeln!(page, "<td class=\"passed\"><code>{rule}</code></td><td>{programs} programs</td></tr>")
        }
        None => writeln!(page, "<td class=\"failed\"><code>{rule}</code></td><td class=\"failed\">never</td></tr>"),
    }
}

/// The class by which `style.css` colours a cell.
fn class(ended: &Ended) -> &'static str {
    match ended {
        Ended::Passed => "passed",
        Ended::Failed(_) => "failed",
        Ended::Ignored(_) => "ignored",
    }
}

/// The text of a cell: an ignored trial is never shown as passed.
fn word(ended: &Ended) -> &'static str {
    match ended {
        Ended::Passed => "✓ passed",
        Ended::Failed(_) => "✗ failed",
        Ended::Ignored(_) => "not run",
    }
}

/// Empty for a success.
fn why(ended: &Ended) -> &str {
    match ended {
        Ended::Passed => "",
        Ended::Failed(why) | Ended::Ignored(why) => why,
    }
}

/// Text, escaped for HTML.
/// Escapes `&`, `<`, `>` and `"`, so it is safe in elements and in double-quoted attributes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
