//! The two successes of a notification handler: the event is done with, or shall come again.

/// What a handler says of an event it was given; an error is the third thing it can say.
///
/// The reference calls it `NotificationResult`. A handler that returns `()` has handled its event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotificationResult {
    /// It is done with: the listener acknowledges the event after the last endpoint.
    #[default]
    Handled,
    /// The event is requeued, for another member of the pool or for this one later. It goes back to the broker after
    /// 100 ms, growing to 5 s each time the same event comes back. Where the queue limits deliveries, the last one is
    /// not handled: the event is given up with [`DeadReason::DeliveryLimit`](crate::notify::DeadReason::DeliveryLimit).
    Requeue,
}

impl From<()> for NotificationResult {
    fn from((): ()) -> Self {
        Self::Handled
    }
}
