//! Exchanges and their bindings: from a routing key to queues, without messages and without a clock.

use std::collections::HashMap;
use std::sync::Arc;

use oslo_messaging::driver::ExchangeKind;

use crate::state::id::Id;

/// A named exchange. The default exchange needs no bindings and is not stored.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: ExchangeKind,
    /// Bindings whose key is compared as it is: all of a fanout exchange,
    /// and those of a topic exchange without wildcards.
    exact: HashMap<Arc<str>, Vec<Id>>,
    /// Bindings with wildcards, in the order in which they were made. Each is
    /// compared with every key that the exchange routes.
    patterns: Vec<(Arc<str>, Id)>,
}

impl Exchange {
    pub(crate) fn new(kind: ExchangeKind) -> Self {
        Self { kind, exact: HashMap::new(), patterns: Vec::new() }
    }

    /// Binds `queue` by `key`. Declaring an existing binding again has no effect.
    pub(crate) fn bind(&mut self, key: &str, queue: Id) {
        if self.kind == ExchangeKind::Topic && has_wildcard(key) {
            if !self.patterns.iter().any(|(pattern, id)| &**pattern == key && *id == queue) {
                self.patterns.push((key.into(), queue));
            }
            return;
        }
        let queues = self.exact.entry(key.into()).or_default();
        if !queues.contains(&queue) {
            queues.push(queue);
        }
    }

    /// Removes every binding of `queue`, by whatever key; its deletion calls this.
    pub(crate) fn unbind(&mut self, queue: Id) {
        self.exact.retain(|_, queues| {
            queues.retain(|id| *id != queue);
            !queues.is_empty()
        });
        self.patterns.retain(|(_, id)| *id != queue);
    }

    /// Whether no queue is bound to it. A fanout exchange is deleted then.
    pub(crate) fn is_unbound(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// Adds to `found` each queue that receives a message with `key`, once for however many matching bindings.
    ///
    /// A fanout exchange ignores the key.
    pub(crate) fn route(&self, key: &str, found: &mut Vec<Id>) {
        match self.kind {
            ExchangeKind::Fanout => self.exact.values().flatten().for_each(|queue| add(found, *queue)),
            ExchangeKind::Topic | ExchangeKind::Default => {
                found.extend(self.exact.get(key).into_iter().flatten());
                let matching = self.patterns.iter().filter(|(pattern, _)| matches(pattern, key));
                matching.for_each(|(_, queue)| add(found, *queue));
            }
        }
    }

    /// Every binding as its key and its queue: exact keys in any order, then patterns in the order of their making.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (&str, Id)> {
        let exact = self.exact.iter().flat_map(|(key, queues)| queues.iter().map(move |queue| (&**key, *queue)));
        exact.chain(self.patterns.iter().map(|(key, queue)| (&**key, *queue)))
    }
}

/// Keeps each queue once: RabbitMQ delivers one copy, however many bindings match.
fn add(found: &mut Vec<Id>, queue: Id) {
    if !found.contains(&queue) {
        found.push(queue);
    }
}

/// A wildcard is a whole word, so `a*` has none.
fn has_wildcard(key: &str) -> bool {
    key.split('.').any(|word| word == "*" || word == "#")
}

/// Whether `key` matches `pattern` word by word: `*` is one word, `#` zero or more words.
///
/// RabbitMQ matches in the same way: `a.#` matches `a`.
fn matches(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = words(key);
    // `reached[n]`: whether the pattern so far can match the first n words of the key.
    // Takes time in proportion to pattern times key, where backtracking would take exponential time.
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    for word in pattern {
        if word == "#" {
            let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
            reached[first..].fill(true);
            continue;
        }
        for n in (0..key.len()).rev() {
            reached[n + 1] = reached[n] && (word == "*" || word == key[n]);
        }
        reached[0] = false;
    }
    reached[key.len()]
}

/// The words of a routing key; an empty key has none.
///
/// `split` alone would give an empty key one empty word.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_one_word_and_a_hash_any_number() {
        for (pattern, key, expected) in [
            ("*.info", "notifications.info", true),
            ("*.info", "a.b.info", false),
            ("*.info", "info", false),
            ("#.info", "a.b.info", true),
            ("#.info", "info", true),
            ("#", "", true),
            ("#", "a.b", true),
            ("*", "", false),
            ("a.#.b.#", "a.x.b.b.y", true),
            ("a.#.b.*", "a.x.b", false),
            ("a.*", "a.", true),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} against {key}");
        }
    }

    #[test]
    fn a_queue_with_two_matching_bindings_gets_one_copy() {
        let mut exchange = Exchange::new(ExchangeKind::Topic);
        exchange.bind("notifications.info", 1);
        exchange.bind("notifications.*", 1);
        exchange.bind("#", 2);
        let mut found = Vec::new();
        exchange.route("notifications.info", &mut found);
        assert_eq!(found, [1, 2]);
    }

    #[test]
    fn a_wildcard_is_a_whole_word_and_means_nothing_to_a_fanout() {
        let mut topic = Exchange::new(ExchangeKind::Topic);
        topic.bind("a*", 1);
        let mut found = Vec::new();
        topic.route("ab", &mut found);
        assert!(found.is_empty());
        topic.route("a*", &mut found);
        assert_eq!(found, [1]);

        let mut fanout = Exchange::new(ExchangeKind::Fanout);
        fanout.bind("*", 1);
        fanout.bind("x", 1);
        found.clear();
        fanout.route("", &mut found);
        assert_eq!(found, [1]);
    }

    #[test]
    fn unbinding_removes_every_binding_of_the_queue() {
        let mut exchange = Exchange::new(ExchangeKind::Topic);
        exchange.bind("a", 1);
        exchange.bind("*.b", 1);
        exchange.unbind(1);
        assert!(exchange.is_unbound());
    }
}
