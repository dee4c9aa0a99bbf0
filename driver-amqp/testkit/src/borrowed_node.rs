//! Nodes that cases borrow one after the other, to hurt them: most of the cost of a node is its first start.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use xtask::broker::Node;

/// Nodes that are not borrowed now.
static FREE: Mutex<Vec<Node>> = Mutex::new(Vec::new());

/// A node that one case has for itself. Dropping it returns the node for the next case, unless the case panicked, spoiled
/// it, or left it unusable.
#[derive(Debug)]
pub struct BorrowedNode {
    /// `None` only while it is dropped.
    node: Option<Node>,
    spoiled: bool,
}

impl BorrowedNode {
    /// A node that was returned, or a new one. Blocks.
    pub fn take() -> Self {
        while let Some(mut node) = { free().pop() } {
            if node.is_ready() {
                return Self::of(node);
            }
        }
        Self::of(Node::start().expect("a node"))
    }

    /// Keeps the node from being borrowed again: its settings would surprise the next case.
    pub fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// Ends the nodes that are not borrowed.
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
