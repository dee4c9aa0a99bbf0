//! How a handler fails: an exception that a Python caller can rebuild.

use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;

use crate::excerpt::Excerpt;
use crate::remote_error::Raised;
use crate::{Payload, RemoteError};

/// The module of Python's built-in exceptions; a Python caller rebuilds these whatever modules it allows.
const BUILTINS: &str = "builtins";
/// Where the reference defines `NoSuchMethod` and `UnsupportedVersion`.
const DISPATCHER: &str = "oslo_messaging.rpc.dispatcher";

/// How a handler fails: an exception by its Python name, with all that travels to the caller.
///
/// Make one of your own error with [`Exception`](crate::Exception), or of any other with [`internal`](Self::internal).
///
/// `Display` and `{:?}` are one line, `module.class: message`, escaped and cut as an
/// [`Excerpt`](crate::driver::Excerpt); `{:#?}` is all of it. What travels is whole.
///
/// Whether a failure is expected changes the log of the server and nothing on the wire.
#[derive(Clone, PartialEq)]
pub struct Failure {
    // Boxed, because every handler returns one or carries room for it.
    raised: Box<Raised>,
    /// Not on the wire: only the log and the metrics of this server depend on it.
    nature: Nature,
}

/// How a server logs and counts a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Logged as an error: the default.
    Unexpected,
    /// Part of the contract of the method, so it is logged at DEBUG.
    Expected,
    /// No method ran, since the request asks for what the server does not have.
    Refused(Refusal),
}

/// Which part of a request the server cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No endpoint has it.
    Namespace,
    /// No endpoint of the namespace serves it.
    Version,
    /// No endpoint of namespace and version lists it.
    Method,
    /// They do not decode into what the method takes.
    Arguments,
}

impl Failure {
    /// `module.class(message)`: with the message as the only argument, and no traceback.
    ///
    /// A Python caller rebuilds the class if it allows the module, and gets a `RemoteError` with the names otherwise.
    #[must_use]
    pub fn new(module: impl Into<String>, class: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let args = Payload::encode(&[&message]).expect("text is JSON");
        let (module, class) = (module.into(), class.into());
        let raised = Raised { class, module, args, ..Raised::unknown(message) };
        Self { raised: Box::new(raised), nature: Nature::Unexpected }
    }

    /// The exception for an error that does not implement [`Exception`](crate::Exception):
    /// a `RuntimeError` with its text; its sources make the traceback. Text alone is an error as well.
    ///
    /// A method that returns `Result<T, Internal>` makes one of any error by `?`: see [`Internal`](crate::Internal).
    #[must_use]
    pub fn internal<'a>(error: impl Into<Box<dyn StdError + Send + Sync + 'a>>) -> Self {
        let error = error.into();
        let message = error.to_string();
        let mut causes = vec![message.clone()];
        // The message is the error's own text; its sources go into the traceback.
        let mut source = error.source();
        while let Some(error) = source {
            causes.push(error.to_string());
            source = error.source();
        }
        Self::new(BUILTINS, "RuntimeError", message).with_traceback(chain(&causes))
    }

    /// The positional arguments with which a caller makes the exception. A value that is not an array is the only one.
    ///
    /// A value without a JSON form is left out with a warning, since a failure must not fail.
    #[must_use]
    pub fn with_args(mut self, args: impl Serialize) -> Self {
        match Payload::encode(&args) {
            Ok(args) if args.shape() == "an array" => self.raised.args = args,
            Ok(arg) => self.raised.args = Payload::encode(&[arg]).expect("a payload is JSON"),
            Err(error) => self.warn("args", &error),
        }
        self
    }

    /// The arguments by name with which a caller makes the exception: a struct, a map with text keys or `()`.
    ///
    /// A value without such a JSON form is left out with a warning, since a failure must not fail.
    #[must_use]
    pub fn with_kwargs(mut self, kwargs: impl Serialize) -> Self {
        match Payload::arguments(&kwargs) {
            Ok(kwargs) => self.raised.kwargs = kwargs,
            Err(error) => self.warn("kwargs", &error),
        }
        self
    }

    /// Sets where it came from. Each line ends in a newline, as in Python.
    ///
    /// Replaces an earlier one. The caller sees it in `RemoteError::traceback`, and Python adds it to the message.
    #[must_use]
    pub fn with_traceback(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.raised.traceback = lines.into_iter().map(Into::into).collect();
        self
    }

    /// Says that it is part of the method's contract.
    ///
    /// The server logs it at the level DEBUG. The reference's `expected_exceptions` does the same.
    #[must_use]
    pub fn expected(mut self) -> Self {
        self.nature = Nature::Expected;
        self
    }

    /// No endpoint of this namespace and version has `method`.
    ///
    /// Class and text as in the reference (oslo.messaging 18.3.1, `rpc/dispatcher.py`, `NoSuchMethod`).
    #[must_use]
    pub fn no_such_method(method: &str) -> Self {
        Self::new(DISPATCHER, "NoSuchMethod", format!("Endpoint does not support RPC method {method}"))
    }

    /// No endpoint has this namespace and a version that serves `version`.
    ///
    /// Class and text as in the reference (oslo.messaging 18.3.1, `rpc/dispatcher.py`, `UnsupportedVersion`).
    #[must_use]
    pub fn unsupported_version(version: &str, method: &str) -> Self {
        let text = format!("Endpoint does not support RPC version {version}. Attempted method: {method}");
        Self::new(DISPATCHER, "UnsupportedVersion", text)
    }

    /// The arguments are not what `method` takes, for the reason `why`.
    ///
    /// A `TypeError`, as Python raises it for a wrong signature.
    pub(crate) fn bad_arguments(method: &str, why: impl fmt::Display) -> Self {
        Self::new(BUILTINS, "TypeError", format!("{method}() cannot take these arguments: {why}"))
    }

    /// What a panic of the handler is to its caller; `text` is what the panic said.
    ///
    /// A `RuntimeError`; the caller sees the text of the panic.
    pub(crate) fn panicked(text: &str) -> Self {
        Self::new(BUILTINS, "RuntimeError", format!("the method panicked: {text}"))
    }

    /// The class, such as `ValueError`.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.raised.class
    }

    /// The module of the class, such as `builtins`.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.raised.module
    }

    /// The text of the exception, as `str()` of it gives in Python.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.raised.message
    }

    /// The positional arguments with which a caller makes the exception: always an array.
    #[must_use]
    pub fn args(&self) -> &Payload {
        &self.raised.args
    }

    /// The arguments by name with which a caller makes the exception: always an object.
    #[must_use]
    pub fn kwargs(&self) -> &Payload {
        &self.raised.kwargs
    }

    /// Where it came from: lines in the shape that Python prints, each with its line end.
    #[must_use]
    pub fn traceback(&self) -> &[String] {
        &self.raised.traceback
    }

    /// Whether it is part of the method's contract, so that the server does not log it as an error.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.nature == Nature::Expected
    }

    /// How the server logs and counts it. A caller cannot see this.
    pub(crate) fn nature(&self) -> Nature {
        self.nature
    }

    /// Marks it as raised without running a method, because the server lacks what `refusal` names.
    pub(crate) fn refused(mut self, refusal: Refusal) -> Self {
        self.nature = Nature::Refused(refusal);
        self
    }

    /// The line of its `Display`, whole and not escaped.
    pub(crate) fn whole_text(&self) -> String {
        self.raised.whole_text()
    }

    /// The same failure as another class; arguments, text and traceback stay.
    pub(crate) fn renamed(mut self, module: &str, class: &str) -> Self {
        module.clone_into(&mut self.raised.module);
        class.clone_into(&mut self.raised.class);
        self
    }

    /// Logs a warning that names the class, the part that was left out and the reason, but not its value.
    fn warn(&self, part: &'static str, error: &crate::Error) {
        let (class, module) = (Excerpt(self.class()), Excerpt(self.module()));
        tracing::warn!(%class, %module, %part, %error, "part of a failure has no JSON form");
    }
}

impl From<Failure> for RemoteError {
    /// The exception as its caller sees it, without whether it was expected.
    fn from(failure: Failure) -> Self {
        Self(failure.raised)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_struct("Failure").field("raised", &self.raised).field("nature", &self.nature).finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.raised, f)
    }
}

impl StdError for Failure {}

/// `causes` from the last to the first as Python prints exceptions that were raised from one another.
///
/// All but the last end in the sentence that Python prints between two exceptions.
fn chain(causes: &[String]) -> Vec<String> {
    let mut lines = Vec::with_capacity(2 * causes.len());
    for cause in causes.iter().rev() {
        if !lines.is_empty() {
            lines.push("\nThe above exception was the direct cause of the following exception:\n\n".to_owned());
        }
        lines.push(format!("RuntimeError: {cause}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};
    use serde_json::json;
    use std::collections::HashMap;

    #[test]
    fn an_error_without_a_python_name_is_a_runtime_error_with_its_causes_as_python_prints_them() {
        let disk = std::io::Error::other("disk full");
        let failure = Failure::internal(Error::new(ErrorKind::Config, "save").with_source(disk));
        assert_eq!((failure.module(), failure.class()), ("builtins", "RuntimeError"));
        assert_eq!(failure.message(), "save: invalid configuration: disk full");
        assert_eq!(
            failure.traceback(),
            [
                "RuntimeError: disk full\n",
                "\nThe above exception was the direct cause of the following exception:\n\n",
                "RuntimeError: save: invalid configuration: disk full\n",
            ]
        );
    }

    #[test]
    fn what_has_no_json_form_does_not_cost_the_failure() {
        let unnamed = HashMap::from([(vec![1], 1)]);
        let failure = Failure::new("m", "C", "text").with_args(&unnamed).with_kwargs(&unnamed).with_kwargs([1]);
        assert_eq!((failure.args().as_str(), failure.kwargs().as_str()), (r#"["text"]"#, "{}"));
    }

    #[test]
    fn one_argument_needs_no_array() {
        assert_eq!(Failure::new("m", "C", "text").with_args(json!({"code": 7})).args().as_str(), r#"[{"code":7}]"#);
        assert_eq!(Failure::new("m", "C", "text").with_args((1, "a")).args().as_str(), r#"[1,"a"]"#);
    }

    #[test]
    fn a_result_that_may_be_a_failure_stays_small() {
        assert!(size_of::<Failure>() <= 16 && size_of::<RemoteError>() <= 8);
    }
}
