//! A failure as it travels in a reply: JSON text in a string of the content.
//!
//! The keys are `class`, `module`, `message`, `tb`, `args` and `kwargs` (oslo.messaging `_drivers/common.py`,
//! `serialize_remote_exception`). Reading never fails: a failure that cannot be read must not be taken for a result.
//!
//! The class and the module lose the suffix `_Remote` before they are written, as in the reference. So an exception
//! that passes through several servers keeps its name.

use bytes::Bytes;

use super::fields::{Fields, tolerant, tolerant_text};
use super::writer::ObjectWriter;
use crate::payload::lenient;
use crate::remote_error::Raised;
use crate::{Payload, RemoteError};

/// What Python appends to the class and module of an exception that it rebuilds from a reply.
const REBUILT: &str = "_Remote";

/// Writes the fields of `failure` (oslo.messaging 18.3.1, `_drivers/common.py:serialize_remote_exception`).
pub(super) fn write(out: &mut ObjectWriter<'_>, failure: &RemoteError) {
    let (module, class) = original(failure);
    out.text("class", class);
    out.text("module", module);
    out.text("message", failure.message());
    out.texts("tb", failure.traceback());
    out.json("args", failure.args());
    out.json("kwargs", failure.kwargs());
}

/// About how many bytes that will be.
///
/// Only a hint for the allocation.
pub(super) fn length(failure: &RemoteError) -> usize {
    let traceback: usize = failure.traceback().iter().map(|line| line.len() + 8).sum();
    200 + 2 * (failure.message().len() + failure.args().as_str().len() + failure.kwargs().as_str().len()) + traceback
}

/// The failure in the field of a reply, if there is one. Whatever it is, it is not lost: what cannot be read becomes
/// the message of a failure of unknown class.
pub(super) fn read(field: &Payload) -> Option<RemoteError> {
    let text = match field.decode::<Option<String>>() {
        Ok(None) => return None,
        Ok(Some(text)) if text.is_empty() => return None,
        Ok(Some(text)) => text,
        // Not in a string, but perhaps what should be in it.
        Err(_) => field.as_str().to_owned(),
    };
    let text = Bytes::from(text);
    let read = lenient::read("decode failure", &text, |buffer, text| Ok(fields(buffer, &serde_json::from_str(text)?)));
    Some(read.unwrap_or_else(|_| Raised::unknown(String::from_utf8_lossy(&text).into_owned())).into())
}

/// Fields of a wrong type keep what an unknown failure has.
fn fields(buffer: &Bytes, Fields(fields): &Fields<'_>) -> Raised {
    let mut raised = Raised::unknown(String::new());
    for (name, value) in fields {
        match name.as_ref() {
            "class" => raised.class = tolerant_text(value).unwrap_or(raised.class),
            "module" => raised.module = tolerant_text(value).unwrap_or(raised.module),
            "message" => raised.message = tolerant_text(value).unwrap_or_else(|| value.get().to_owned()),
            "tb" => raised.traceback = tolerant(value).unwrap_or_default(),
            "args" => raised.args = Payload::slice(buffer, value),
            "kwargs" => raised.kwargs = Payload::slice(buffer, value),
            _ => {}
        }
    }
    raised
}

/// The module and class of what was first raised, if this was rebuilt from a reply and raised again.
fn original(failure: &RemoteError) -> (&str, &str) {
    let (module, class) = (failure.module(), failure.class());
    match (module.strip_suffix(REBUILT), class.strip_suffix(REBUILT)) {
        // Both or none: a class that merely ends so keeps its name, as in the reference.
        (Some(module), Some(class)) => (module, class),
        _ => (module, class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    fn written(module: &str, class: &str) -> RemoteError {
        let mut text = Vec::new();
        let mut out = ObjectWriter::new(&mut text);
        write(&mut out, &Failure::new(module, class, "text").into());
        out.end();
        read(&Payload::encode(&String::from_utf8(text).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn what_python_rebuilt_and_raised_again_goes_under_its_first_name() {
        for (module, class, first) in [
            ("shop.errors_Remote", "Custom_Remote", "shop.errors.Custom: text"),
            ("shop.errors", "Custom_Remote", "shop.errors.Custom_Remote: text"),
            ("shop.errors_Remote", "Custom", "shop.errors_Remote.Custom: text"),
        ] {
            assert_eq!(written(module, class).to_string(), first);
        }
    }
}
