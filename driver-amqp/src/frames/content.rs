//! The messages whose content is due, by their channels.

/// What a content header, or a body, on a channel belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A delivery whose content header is due.
    Delivery { tag: u64 },
    /// A returned message whose content header is due.
    Return { code: u16, text: String },
    /// A returned message of whose body so much is due.
    ReturnBody { left: u64 },
}

/// Hardly ever more than one: a broker writes a message as a whole. They are in the order of their channels.
#[derive(Debug, Default)]
pub(super) struct Contents(Vec<(u16, Content)>);

impl Contents {
    pub(super) fn get_mut(&mut self, channel: u16) -> Option<&mut Content> {
        let index = self.find(channel).ok()?;
        Some(&mut self.0[index].1)
    }

    pub(super) fn set(&mut self, channel: u16, content: Content) {
        match self.find(channel) {
            Ok(index) => self.0[index].1 = content,
            Err(index) => self.0.insert(index, (channel, content)),
        }
    }

    pub(super) fn remove(&mut self, channel: u16) -> Option<Content> {
        let index = self.find(channel).ok()?;
        Some(self.0.remove(index).1)
    }

    /// Whether the rest of a returned message is due on `channel`.
    pub(super) fn is_return(&self, channel: u16) -> bool {
        self.find(channel).is_ok_and(|index| !matches!(self.0[index].1, Content::Delivery { .. }))
    }

    fn find(&self, channel: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&channel, |(channel, _)| *channel)
    }
}
