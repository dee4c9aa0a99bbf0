//! Histories that keep the rules, and histories that break one each.
