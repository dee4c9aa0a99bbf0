//! How much a program makes sure of.

use load::Arguments;

/// What is asked of the broker for each message.
#[derive(Debug, Clone, Copy)]
pub struct Guarantees {
    /// Whether consumed messages are acknowledged.
    pub acknowledged: bool,
    /// Whether publishes are confirmed.
    pub confirmed: bool,
    /// Whether a request or a reply without a queue comes back.
    pub mandatory: bool,
    /// The delivery mode of replies: 2 is persistent.
    pub reply_mode: u8,
}

impl Guarantees {
    /// All of them.
    pub const ALL: Self = Self { acknowledged: true, confirmed: true, mandatory: true, reply_mode: 2 };

    /// None of them.
    pub const NONE: Self = Self { acknowledged: false, confirmed: false, mandatory: false, reply_mode: 2 };

    /// The same, but for those that an option such as `--confirmed false` changes.
    pub fn chosen(self, arguments: &Arguments) -> Self {
        Self {
            acknowledged: arguments.number("acknowledged", self.acknowledged),
            confirmed: arguments.number("confirmed", self.confirmed),
            mandatory: arguments.number("mandatory", self.mandatory),
            reply_mode: arguments.number("reply-mode", self.reply_mode),
        }
    }
}
