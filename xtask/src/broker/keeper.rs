//! A tiny process that outlives us by a moment and cleans up, even when we are killed without warning.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::command::wait_within;

/// Each line names the process groups to end; the last one counts. The end of input means that we are gone.
/// A process dies a moment after it is killed and may write until then, hence the repeated removal.
const SCRIPT: &str = r#"
directory=$1 groups=
while read -r line; do
    case $line in keep) directory= ;; *) groups=$line ;; esac
    echo noted
done
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
[ -n "$directory" ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$directory" 2>/dev/null && exit 0
    sleep 0.2
done
exit 1
"#;

/// How long the cleaning may take: a few milliseconds as a rule.
const CLEANING: Duration = Duration::from_secs(20);

/// Ends process groups and removes a directory once its pipe to us closes, for whatever reason.
#[derive(Debug)]
pub(super) struct Keeper {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
}

impl Keeper {
    /// Starts watching over `directory`.
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let mut process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/")
            // Ctrl-C in a terminal goes to our group; this one must survive it to do its work.
            .process_group(0)
            .spawn()
            .context("could not start the shell that cleans up")?;
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("standard output was piped"));
        Ok(Self { process, orders, answers })
    }

    /// Replaces the list of children whose process groups are to be ended.
    pub(super) fn watch(&mut self, children: &[&Child]) -> Result<()> {
        let groups: Vec<_> = children.iter().map(|child| child.id().to_string()).collect();
        self.order(&groups.join(" "))
    }

    /// Leaves the directory where it is.
    pub(super) fn keep_directory(&mut self) -> Result<()> {
        self.order("keep")
    }

    /// Has everything cleaned now and waits for it. Without effect the second time.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.orders.take().is_none() {
            return Ok(());
        }
        match wait_within(&mut self.process, CLEANING)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the node's directory could not be removed ({status})"),
            None => bail!("the node's directory was not removed within {CLEANING:?}"),
        }
    }

    /// Waits for the answer, so that an order given is an order that will be carried out.
    fn order(&mut self, line: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("the cleaning is over")?;
        writeln!(orders, "{line}").context("the shell that cleans up is gone")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("the shell that cleans up is gone")?;
        if answer.trim() == "noted" { Ok(()) } else { bail!("the shell that cleans up is gone") }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("oslo-messaging-keeper-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("data")).unwrap();
        path
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn everything_watched_is_ended_and_the_directory_removed() {
        let directory = scratch("all");
        let mut child = sleeper();
        let mut keeper = Keeper::start(&directory).unwrap();
        keeper.watch(&[&child]).unwrap();
        keeper.finish().unwrap();
        assert!(wait_within(&mut child, Duration::from_secs(10)).unwrap().is_some(), "the child still runs");
        assert!(!directory.exists());
    }

    #[test]
    fn a_kept_directory_stays() {
        let directory = scratch("kept");
        let mut keeper = Keeper::start(&directory).unwrap();
        keeper.keep_directory().unwrap();
        keeper.finish().unwrap();
        assert!(directory.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
