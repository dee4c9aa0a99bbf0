//! `cargo xtask broker`: a node to work with by hand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;
use xtask::broker::{self, Node, Programs, Release, Settings};
use xtask::process::command::POLL;
use xtask::process::interrupt::Interrupt;

/// Starts a node and keeps it until we are interrupted or standard input ends.
pub(crate) fn run(release: Option<Release>, keep: bool, interrupt: &Interrupt) -> Result<()> {
    let mut node = start(release, interrupt)?;
    if keep {
        eprintln!("the directory will stay: {}", node.keep_directory()?.display());
    }
    println!("{}", node.url());
    eprintln!("{}", node.attached().broker());
    for (name, value) in node.attached().environment() {
        println!("export {name}={value}");
    }
    eprintln!("ready; Ctrl-C or the end of standard input removes the node");
    let input_ended = watch_standard_input();
    while !interrupt.is_raised() && !input_ended.load(Ordering::Relaxed) {
        thread::sleep(POLL);
    }
    node.stop()
}

/// Starts a node of `release`, or of what is installed, having made sure that there is such a thing.
///
/// # Errors
/// When it cannot be had, or we are interrupted.
pub(crate) fn start(release: Option<Release>, interrupt: &Interrupt) -> Result<Node> {
    match release {
        Some(release) => drop(broker::make(release, interrupt)?),
        None => Programs::install()?,
    }
    interrupt.check()?;
    Node::start_release(release, &Settings::default())
}

/// Becomes true when standard input ends. The thread has nothing to give back and ends with the process.
fn watch_standard_input() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        flag.store(true, Ordering::Relaxed);
    });
    ended
}
