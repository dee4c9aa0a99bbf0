//! Prints a program as the Rust that makes it.

use std::fmt;

use super::Tell;
use super::program::{Act, Listener, Program, Reads, Step};

impl fmt::Display for Program {
    /// The code that makes this program, ready to paste.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program::new()")?;
        for listener in &self.listeners {
            write!(f, "\n    .listener({listener})")?;
        }
        for notifier in &self.foreign_notifiers {
            write!(f, "\n    .foreign_notifier({notifier})")?;
        }
        for act in &self.acts {
            write!(f, "\n    .act({act})")?;
        }
        if let Some(limit) = self.limit {
            write!(f, "\n    .limited_by(Disturbance::{limit:?})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = Self::new(&self.exchange, &self.topics[0], self.priorities[0]);
        write!(f, "Listener::new({:?}, {:?}, Priority::{:?})", self.exchange, self.topics[0], self.priorities[0])?;
        self.topics[1..].iter().try_for_each(|topic| write!(f, ".topic({topic:?})"))?;
        self.priorities[1..].iter().try_for_each(|priority| write!(f, ".priority(Priority::{priority:?})"))?;
        match &self.reads {
            Reads::Everybodys => {}
            Reads::Pool(pool) => write!(f, ".pool({pool:?})")?,
            Reads::Own => f.write_str(".tap()")?,
        }
        if self.types != made.types {
            write!(f, ".types({:?})", self.types)?;
        }
        if let Some(publisher) = &self.publisher {
            write!(f, ".publisher({publisher:?})")?;
        }
        if let Some(size) = self.batch {
            write!(f, ".batch({size})")?;
        }
        if self.concurrency != made.concurrency {
            write!(f, ".concurrency({})", self.concurrency)?;
        }
        if self.tries != made.tries {
            write!(f, ".tries({})", self.tries)?;
        }
        f.write_str(if self.drops { ".drops()" } else { "" })?;
        f.write_str(if self.foreign { ".foreign()" } else { "" })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act::new()")?;
        for step in &self.steps {
            match step {
                Step::Start { listener } => write!(f, ".start({listener})")?,
                Step::Stop { listener } => write!(f, ".stop({listener})")?,
                Step::Kill { listener } => write!(f, ".kill({listener})")?,
                Step::Cut { after } => write!(f, ".cut({after})")?,
                Step::Tell { notifier, tell } => write!(f, "\n        .tell({notifier}, {tell})")?,
            }
        }
        f.write_str(if self.settle { ".settle()" } else { "" })
    }
}

impl fmt::Display for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = Self::new(&self.exchange, &self.topic, self.priority);
        write!(f, "Tell::new({:?}, {:?}, Priority::{:?})", self.exchange, self.topic, self.priority)?;
        for (name, text, default) in
            [("event_type", &self.event_type, &made.event_type), ("publisher", &self.publisher, &made.publisher)]
        {
            if text != default {
                write!(f, ".{name}({text:?})")?;
            }
        }
        for (name, times) in [("requeued", self.requeued), ("failing", self.failing)] {
            if times != 0 {
                write!(f, ".{name}({times})")?;
            }
        }
        if self.times != 1 {
            write!(f, ".times({})", self.times)?;
        }
        let manner = [
            ("bare", self.bare),
            ("without_queue", self.without_queue),
            ("slow", self.slow),
            ("at_once", self.at_once),
        ];
        manner.into_iter().filter(|(_, is)| *is).try_for_each(|(name, _)| write!(f, ".{name}()"))
    }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority;

    use super::*;
    use crate::Disturbance;

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
                .listener(Listener::new("x", "t", Priority::Info).topic("u").priority(Priority::Error).pool("p"))
                .listener(
                    Listener::new("y", "t", Priority::Audit)
                        .tap()
                        .types("order.*")
                        .publisher("shop")
                        .batch(3)
                        .concurrency(1)
                        .tries(2)
                        .drops()
                        .foreign()
                )
                .foreign_notifier(1)
                .act(Act::new().start(0).start(1).settle())
                .act(
                    Act::new()
                        .stop(0)
                        .kill(1)
                        .cut(4)
                        .tell(0, Tell::new("x", "t", Priority::Info).event_type("order.sold").publisher("bank"))
                        .tell(1, Tell::new("x", "u", Priority::Warn).requeued(2).failing(1).times(3).at_once())
                        .tell(0, Tell::new("x", "u", Priority::Warn).bare().without_queue().slow())
                )
                .limited_by(Disturbance::LimitFailures)
        );
        let squeezed = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
        assert_eq!(squeezed(&program.to_string()), squeezed(text));
    }
}
