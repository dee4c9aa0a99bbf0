//! What the load consists of.

/// One operation, such as a call. Clones of it are run by many tasks at once.
pub trait Operation: Clone + Send + Sync + 'static {
    /// Does it once, and returns whether it succeeded.
    fn run(&self) -> impl Future<Output = bool> + Send;
}
