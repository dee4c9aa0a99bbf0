//! Takes everything out of a stream that is ready, and knows when that is all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::{Stream, StreamExt};

/// Whether a stream asked to be polled again while it was being polled.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Looks at a stream without waiting.
///
/// `FuturesUnordered` says that nothing is ready also when it has worked long enough, and asks to be polled again; taken at
/// its word, it would hide outcomes that are there. Its waker is set anew by the next poll that waits.
#[derive(Debug)]
pub(crate) struct Ready {
    asked: Arc<Asked>,
    waker: Waker,
}

impl Default for Ready {
    fn default() -> Self {
        let asked = Arc::new(Asked::default());
        Self { waker: Waker::from(Arc::clone(&asked)), asked }
    }
}

impl Ready {
    /// The next item that is ready. `None`: everything that was ready when this was called has been taken out.
    pub(crate) fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Option<S::Item> {
        loop {
            self.asked.0.store(false, Ordering::Release);
            match stream.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(item) => return item,
                Poll::Pending if self.asked.0.load(Ordering::Acquire) => {}
                Poll::Pending => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::future::BoxFuture;
    use futures_util::stream::FuturesUnordered;
    use tokio::sync::oneshot;

    use super::*;

    /// Asks to be polled again `times` times, as a future does whose event comes while it is being polled.
    fn restless(times: u32) -> BoxFuture<'static, u32> {
        let mut left = times;
        Box::pin(poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(times);
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    #[test]
    fn what_is_ready_comes_out_although_the_stream_pauses() {
        let mut stream: FuturesUnordered<_> = [3, 4, 5].map(restless).into_iter().collect();
        let ready = Ready::default();
        let mut taken: Vec<_> = std::iter::from_fn(|| ready.next(&mut stream)).collect();
        taken.sort_unstable();
        assert_eq!(taken, [3, 4, 5]);
    }

    #[tokio::test]
    async fn what_becomes_ready_afterwards_still_wakes_who_waits() {
        let (sender, receiver) = oneshot::channel();
        let mut stream = FuturesUnordered::from_iter([receiver]);
        assert!(Ready::default().next(&mut stream).is_none());
        sender.send(1).unwrap();
        assert_eq!(stream.next().await, Some(Ok(1)));
    }
}
