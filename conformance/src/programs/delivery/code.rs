//! Prints a program as the Rust that makes it.

use std::fmt;

use super::program::{Program, Reader, Reads, Shared, Step};
use super::publish::{Life, Publish, To};

impl fmt::Display for Program {
    /// The code that makes this program, ready to paste.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program::new()")?;
        for reader in &self.readers {
            write!(f, "\n    .reader({reader})")?;
        }
        for step in &self.steps {
            write!(f, "\n    {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { reader } => write!(f, ".open({reader})"),
            Self::Publish { count, publish } => write!(f, ".publish({count}, {publish})"),
            Self::Poll { reader, max } => write!(f, ".poll({reader}, {max})"),
            Self::Glance { reader, max } => write!(f, ".glance({reader}, {max})"),
            Self::Settle { reader, which, verdict } => write!(f, ".settle({reader}, {which}, Verdict::{verdict:?})"),
            Self::Stop { reader } => write!(f, ".stop({reader})"),
            Self::Close { reader } => write!(f, ".close({reader})"),
            Self::Forget { reader } => write!(f, ".forget({reader})"),
            Self::HangUp { transport } => write!(f, ".hang_up({transport})"),
            Self::Cut => f.write_str(".cut()"),
            Self::Wait => f.write_str(".wait()"),
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reads {
            Reads::Server { exchange, topic, name } => write!(f, "Reader::server({exchange:?}, {topic:?}, {name:?})")?,
            Reads::Inbox => f.write_str("Reader::inbox()")?,
            Reads::Queue { name, bytes } => {
                write!(f, "Reader::queue({name:?})")?;
                length(f, "long_name", *bytes)?;
            }
            Reads::Notifications { exchange, events, queue } => {
                write!(f, "Reader::notifications({exchange:?}, &{events:?})")?;
                match queue {
                    Shared::Everybodys => {}
                    Shared::Pool(pool) => write!(f, ".pool({pool:?})")?,
                    Shared::Own => f.write_str(".private()")?,
                }
            }
        }
        if self.transport != 0 {
            write!(f, ".on({})", self.transport)?;
        }
        if self.before_handover {
            f.write_str(".before_handover()")?;
        }
        if self.window != 100 {
            write!(f, ".window({})", self.window)?;
        }
        Ok(())
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Topic { exchange, topic } => write!(f, "Publish::topic({exchange:?}, {topic:?})")?,
            To::Server { exchange, topic, name } => write!(f, "Publish::server({exchange:?}, {topic:?}, {name:?})")?,
            To::Fanout { topic } => write!(f, "Publish::fanout({topic:?})")?,
            To::Inbox { reader } => write!(f, "Publish::inbox({reader})")?,
            To::Notification { exchange, topic, priority } => {
                write!(f, "Publish::notification({exchange:?}, {topic:?}, {priority:?})")?;
            }
            To::Queue { name, bytes } => {
                write!(f, "Publish::queue({name:?})")?;
                length(f, "long_name", *bytes)?;
            }
        }
        if self.transport != 0 {
            write!(f, ".by({})", self.transport)?;
        }
        f.write_str(if self.mandatory { ".mandatory()" } else { "" })?;
        f.write_str(if self.ensure_queue { ".ensure_queue()" } else { "" })?;
        f.write_str(match self.life {
            Life::Endless => "",
            Life::Long => ".long_lived()",
            Life::Short => ".short_lived()",
        })?;
        f.write_str(if self.too_late { ".too_late()" } else { "" })?;
        length(f, "header_of", self.header)?;
        length(f, "body_of", self.body)
    }
}

fn length(f: &mut fmt::Formatter<'_>, name: &str, bytes: Option<usize>) -> fmt::Result {
    match bytes {
        None => Ok(()),
        Some(bytes) if bytes < 10_000 => write!(f, ".{name}({bytes})"),
        Some(bytes) => write!(f, ".{name}({}_{:03})", bytes / 1_000, bytes % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    /// An expression, and its text.
    macro_rules! with_text {
        ($code:expr) => {
            ($code, stringify!($code))
        };
    }

    #[test]
    fn what_is_printed_is_the_code_that_makes_the_program() {
        let (program, text) = with_text!(
            Program::new()
                .reader(Reader::server("x", "t", "a").on(1).before_handover().window(2))
                .reader(Reader::inbox())
                .reader(Reader::queue("q"))
                .reader(Reader::queue("q").long_name(256))
                .reader(Reader::notifications("x", &[("n", "info"), ("n", "error")]))
                .reader(Reader::notifications("x", &[("n", "info")]).pool("p"))
                .reader(Reader::notifications("x", &[("n", "info")]).private())
                .open(0)
                .publish(2, Publish::topic("x", "t").by(1).mandatory())
                .publish(1, Publish::server("x", "t", "a").short_lived())
                .publish(1, Publish::fanout("t").long_lived())
                .publish(1, Publish::inbox(1).too_late())
                .publish(1, Publish::notification("x", "n", "info").ensure_queue())
                .publish(1, Publish::queue("q").header_of(300).body_of(600_000))
                .publish(1, Publish::queue("q").long_name(300))
                .poll(0, 3)
                .glance(0, 1)
                .settle(0, 1, Verdict::Acknowledge)
                .settle(0, 0, Verdict::Drop)
                .stop(0)
                .close(0)
                .forget(1)
                .hang_up(1)
                .cut()
                .wait()
        );
        let squeezed = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
        assert_eq!(squeezed(&program.to_string()), squeezed(text));
    }
}
