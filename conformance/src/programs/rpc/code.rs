//! Prints a program as the Rust that makes it.

use std::fmt::{self, Write};

use super::program::{Act, Program, Server, Step};
use super::request::{Kind, Method, Request};

impl fmt::Display for Program {
    /// The code that makes this program, ready to paste.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program::new()")?;
        for server in &self.servers {
            write!(f, "\n    .server({server})")?;
        }
        for sender in &self.foreign_senders {
            write!(f, "\n    .foreign_sender({sender})")?;
        }
        for act in &self.acts {
            write!(f, "\n    .act({act})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server::new({:?}, {:?})", self.topic, self.name)?;
        given(f, "exchange", self.exchange.as_deref())?;
        for interface in &self.interfaces {
            match &interface.namespace {
                None => write!(f, ".interface({:?})", interface.version)?,
                Some(namespace) => write!(f, ".interface_in({namespace:?}, {:?})", interface.version)?,
            }
        }
        if self.concurrency != 64 {
            write!(f, ".concurrency({})", self.concurrency)?;
        }
        f.write_str(if self.at_least_once { ".at_least_once()" } else { "" })?;
        f.write_str(if self.foreign { ".foreign()" } else { "" })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act::new()")?;
        for step in &self.steps {
            match step {
                Step::Start { server } => write!(f, ".start({server})")?,
                Step::Stop { server } => write!(f, ".stop({server})")?,
                Step::Hurry { server } => write!(f, ".hurry({server})")?,
                Step::Kill { server } => write!(f, ".kill({server})")?,
                Step::Cut { after } => write!(f, ".cut({after})")?,
                Step::Send { sender, request } => write!(f, "\n        .send({sender}, {request})")?,
            }
        }
        f.write_str(if self.settle { ".settle()" } else { "" })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = match self.kind {
            Kind::Call => "call",
            Kind::Cast => "cast",
            Kind::Fanout => "fanout",
        };
        write!(f, "Request::{made}({:?})", self.topic)?;
        given(f, "exchange", self.exchange.as_deref())?;
        given(f, "server", self.server.as_deref())?;
        given(f, "namespace", self.namespace.as_deref())?;
        given(f, "version", self.version.as_deref())?;
        if self.method != Method::Answer {
            write!(f, ".method(Method::{:?})", self.method)?;
        }
        if self.mandatory != (self.kind == Kind::Call) {
            f.write_str(".other_way_round()")?;
        }
        if self.times != 1 {
            write!(f, ".times({})", self.times)?;
        }
        f.write_str(if self.impatient { ".impatient()" } else { "" })?;
        f.write_str(if self.given_up { ".given_up()" } else { "" })
    }
}

fn given(f: &mut impl Write, name: &str, value: Option<&str>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, ".{name}({value:?})"))
}

#[cfg(test)]
mod tests {
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
                .server(Server::new("t", "a").exchange("x").interface("1.0").interface_in("n", "2.1").concurrency(1))
                .server(Server::new("t", "b").at_least_once())
                .server(Server::new("t", "c").foreign())
                .foreign_sender(2)
                .act(Act::new().start(0).start(1).settle())
                .act(
                    Act::new()
                        .stop(0)
                        .hurry(1)
                        .kill(1)
                        .cut(3)
                        .send(0, Request::call("t").exchange("x").server("a").namespace("n").version("2.0"))
                        .send(1, Request::call("t").method(Method::Slow).other_way_round().impatient().given_up())
                        .send(2, Request::fanout("t").method(Method::Fail).times(3))
                        .send(0, Request::cast("t").method(Method::Missing).other_way_round())
                )
        );
        let squeezed = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
        assert_eq!(squeezed(&program.to_string()), squeezed(text));
    }

    #[test]
    fn a_program_reads_back_from_json() {
        let program = Program::new()
            .server(Server::new("t", "a").interface("1.0"))
            .act(Act::new().start(0).send(0, Request::call("t").method(Method::Slow)).settle());
        let line = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&line).unwrap(), program, "{line}");
    }
}
