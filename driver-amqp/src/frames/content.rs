//! Tracks which message content is expected on each channel.
//!
//! A content belongs to the last method of its channel that announces one (AMQP 0-9-1,
//! section 4.2.6), so one entry per channel is enough.

/// What the next content header or body of a channel belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A delivery, whose content header comes next. The tag identifies the message in a report.
    Delivery { tag: u64 },
    /// A returned message, whose content header comes next.
    /// Code and text are those of basic.return, for the report.
    Return { code: u16, text: String },
    /// A returned message; so many bytes of its body are still to come.
    /// Until then no other frame but body frames may come on its channel.
    ReturnBody { left: u64 },
}

/// Sorted by channel. Rarely more than one entry: a broker usually writes a message without interruption.
/// A channel without an entry expects nothing that the reader must track. basic.get is not used, so its content passes.
#[derive(Debug, Default)]
pub(super) struct Contents(Vec<(u16, Content)>);

impl Contents {
    /// For a returned body, whose rest shrinks with each frame.
    pub(super) fn get_mut(&mut self, channel: u16) -> Option<&mut Content> {
        let index = self.find(channel).ok()?;
        Some(&mut self.0[index].1)
    }

    /// Replaces an entry: a method that announces content starts a new one.
    pub(super) fn set(&mut self, channel: u16, content: Content) {
        match self.find(channel) {
            Ok(index) => self.0[index].1 = content,
            Err(index) => self.0.insert(index, (channel, content)),
        }
    }

    /// Ends what was expected on `channel`; `None` if that was nothing.
    pub(super) fn remove(&mut self, channel: u16) -> Option<Content> {
        let index = self.find(channel).ok()?;
        Some(self.0.remove(index).1)
    }

    /// Whether a part of a returned message is still to come on `channel`.
    pub(super) fn is_return(&self, channel: u16) -> bool {
        self.find(channel).is_ok_and(|index| !matches!(self.0[index].1, Content::Delivery { .. }))
    }

    /// The place to insert it, if there is none.
    fn find(&self, channel: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&channel, |(channel, _)| *channel)
    }
}
