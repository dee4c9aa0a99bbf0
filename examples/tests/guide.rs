//! `docs/write-a-driver.md` quotes code that exists, and lists what the example really leaves out.

const GUIDE: &str = include_str!("../../docs/write-a-driver.md");
const PINNED: &str = include_str!("expected/own_driver.txt");

/// What the guide quotes from.
const SOURCES: [&str; 4] = [
    include_str!("../own_driver.rs"),
    include_str!("own_hub/mod.rs"),
    include_str!("own_driver.rs"),
    include_str!("own_driver_flaws.rs"),
];

/// The blocks of the guide in `language`, each as its lines without their indentation.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let fence = format!("```{language}\n");
    let bodies = GUIDE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    bodies.map(lines).collect()
}

fn lines(text: &'static str) -> Vec<&'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_quoted_line_stands_in_the_example_or_its_tests() {
    let blocks = blocks("rust");
    assert!(blocks.len() >= 8, "the guide quotes {} blocks", blocks.len());
    let sources = SOURCES.map(lines);
    for block in blocks {
        let found = sources.iter().any(|source| source.windows(block.len()).any(|window| window == block));
        assert!(found, "this is no longer the code:\n{}", block.join("\n"));
    }
}

#[test]
fn the_example_is_as_long_as_the_guide_says() {
    let length = format!("a hub of queues inside one process, {} lines", SOURCES[0].lines().count());
    assert!(GUIDE.contains(&length), "{length}");
}

#[test]
fn the_guide_lists_the_cases_that_the_example_does_not_run() {
    let ignored: Vec<_> = PINNED.lines().filter(|line| line.contains(" # not run: ")).collect();
    assert!(blocks("text").contains(&ignored), "the guide should list\n{}", ignored.join("\n"));
}
