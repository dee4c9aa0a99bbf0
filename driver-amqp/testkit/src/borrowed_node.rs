//! Nodes that one case after the other may hurt: most of the time that a node costs goes into its first start.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use xtask::broker::Node;

/// Those that nobody has now.
static FREE: Mutex<Vec<Node>> = Mutex::new(Vec::new());

/// A node that its holder alone has. Dropping it gives it to the next one, if it still works then; unless its holder
/// panics or has spoiled it.
#[derive(Debug)]
pub struct BorrowedNode {
    /// `None` only while it is dropped.
    node: Option<Node>,
    spoiled: bool,
}

impl BorrowedNode {
    /// One that was given back, or a new one. Takes its time.
    pub fn take() -> Self {
        while let Some(mut node) = { free().pop() } {
            if node.is_ready() {
                return Self::of(node);
            }
        }
        Self::of(Node::start().expect("a node"))
    }

    /// Says that it is set up in a way that would surprise the next one.
    pub fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// Ends those that nobody has.
    pub fn end() {
        drop(std::mem::take(&mut *free()));
    }

    fn of(node: Node) -> Self {
        Self { node: Some(node), spoiled: false }
    }
}

fn free() -> MutexGuard<'static, Vec<Node>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deref for BorrowedNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node.as_ref().expect("it is here until it is dropped")
    }
}

impl DerefMut for BorrowedNode {
    fn deref_mut(&mut self) -> &mut Node {
        self.node.as_mut().expect("it is here until it is dropped")
    }
}

impl Drop for BorrowedNode {
    fn drop(&mut self) {
        let node = self.node.take();
        if !self.spoiled && !thread::panicking() {
            free().extend(node);
        }
    }
}
