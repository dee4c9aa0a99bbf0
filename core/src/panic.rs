//! Panics of the application's code: caught, put in words, and kept from spreading.
//!
//! A panic in a method, handler, sink or serializer must not end the task of the server. It is caught around the
//! application's code, including the drops of its values, and becomes a failure with the panic's text.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Runs `work`; a panic in it is an error with its text.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(text)
}

/// As [`caught`], for the future in `place`, which is empty afterwards: neither a panic while it is polled nor one
/// while it is dropped goes further. A future whose drop panics has failed, whatever it returned.
///
/// It is lent in its place, since a future that is moved into another one takes its room twice.
pub(crate) async fn caught_in<F: Future>(mut place: Pin<&mut Option<F>>) -> Result<F::Output, String> {
    let ended = poll_fn(|context| {
        let future = place.as_mut().as_pin_mut().expect("it is dropped only when it has ended");
        match caught(|| future.poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(text) => Poll::Ready(Err(text)),
        }
    })
    .await;
    // Dropped here, inside the guard: the drop of the caller's variable would be outside of it.
    let dropped = caught(|| place.set(None));
    let output = ended?;
    dropped.map(|()| output)
}

/// The text a panic was raised with, as far as it has one. Takes the payload, because dropping it can panic too.
fn text(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("it gave no reason").to_owned();
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Whether it ends there is not to be tried: it is leaked.
        mem::forget(another);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::pin::pin;
    use std::task::Context;

    use futures_util::FutureExt;

    use super::*;

    /// Panics when it is dropped, with a payload that does the same.
    #[derive(Debug)]
    struct Explosive(u8);

    impl Drop for Explosive {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Explosive(self.0 - 1));
            }
        }
    }

    /// Ends at once, and panics when it is dropped.
    struct Bad(#[expect(dead_code, reason = "held for its drop")] Explosive);

    impl Future for Bad {
        type Output = u8;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            Poll::Ready(7)
        }
    }

    #[test]
    fn a_payload_that_panics_in_its_drop_goes_no_further() {
        assert_eq!(caught(|| panic_any(Explosive(0))), Err::<(), _>("it gave no reason".to_owned()));
        assert_eq!(caught(|| panic_any(Explosive(9))), Err::<(), _>("it gave no reason".to_owned()));
        assert_eq!(caught(|| panic!("why")), Err::<(), _>("why".to_owned()));
        assert_eq!(caught(|| panic!("why {}", 7)), Err::<(), _>("why 7".to_owned()));
    }

    #[test]
    fn a_future_that_panics_when_it_is_polled_or_dropped_goes_no_further() {
        let polled = async { panic_any::<Explosive>(Explosive(9)) };
        assert_eq!(caught_in(pin!(Some(polled))).now_or_never(), Some(Err::<(), _>("it gave no reason".to_owned())));

        assert_eq!(caught_in(pin!(Some(Bad(Explosive(9))))).now_or_never(), Some(Err("it gave no reason".to_owned())));
        assert_eq!(caught_in(pin!(Some(async { 7 }))).now_or_never(), Some(Ok(7)));
    }
}
