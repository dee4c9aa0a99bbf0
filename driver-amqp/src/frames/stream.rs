//! Puts the frame reader on a byte stream, so that lapin can parse whatever it reads.
//!
//! One copy of the data is avoided: whole frames are processed in lapin's own buffer. Only a torn frame is copied.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::Notices;
use super::parse::head::{HEARTBEAT, Head};
use super::reader::{FrameReader, Work};
use super::write_unchanged::write_unchanged;

/// A torn frame up to this size is copied in front of the next read; a longer one is completed in its own buffer.
/// A body of several frames is therefore not copied again and again at each read.
const MOVED: usize = 4 * 1024;
/// How much memory a torn frame is given at a time, in bytes, whatever length its head claims.
/// A peer that announces a large frame and sends nothing gets no more memory than one step.
const STEP: usize = 64 * 1024;

/// A stream with a [`FrameReader`] in its reading half. Writes pass unchanged.
///
/// A read works in the buffer of the caller. It returns no bytes only at the end of the stream,
/// and is pending only if nothing can be returned.
///
/// lapin polls it on its own thread. The reports go to other threads through `Notices`.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    /// Read only when nothing is left to return.
    stream: S,
    /// Has seen every byte in front of `torn`.
    reader: FrameReader,
    /// Filled before the bytes behind a report are returned.
    notices: Arc<Notices>,
    /// The incomplete frame at the end of what was read.
    /// It is passed to the reader again, in front of the next bytes.
    torn: Vec<u8>,
    /// Processed bytes that did not fit into the caller's buffer, and how many of them were returned.
    output: (Vec<u8>, usize),
}

impl<S> Framed<S> {
    /// Wraps a stream from which nothing was read yet. Reports go to `notices`.
    pub(crate) fn new(stream: S, notices: Arc<Notices>) -> Self {
        Self { stream, reader: FrameReader::default(), notices, torn: Vec::new(), output: Default::default() }
    }

    /// The stream under test, of which the checks ask how much was read.
    #[cfg(any(test, fuzzing))]
    pub(super) fn inner(&self) -> &S {
        &self.stream
    }

    /// The same, to set how much the stream gives next.
    #[cfg(any(test, fuzzing))]
    pub(super) fn inner_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns waiting bytes; false if there are none. May return a part; the rest stays for the next read.
    fn give_out(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let (bytes, gone) = &mut self.output;
        let waiting = &bytes[*gone..];
        if waiting.is_empty() {
            return false;
        }
        let count = waiting.len().min(into.remaining());
        into.put_slice(&waiting[..count]);
        *gone += count;
        true
    }

    /// Keeps `bytes`, which are ready for lapin, for the next read.
    /// They replace what was kept, so everything kept before must have been returned.
    fn put_back(&mut self, bytes: &[u8]) {
        let (waiting, gone) = &mut self.output;
        waiting.clear();
        waiting.extend_from_slice(bytes);
        *gone = 0;
    }

    /// Publishes the reports of the reader before lapin gets the bytes after them.
    /// Too many waiting reports end the stream like any other violation.
    fn report(&mut self) {
        let mut failed = None;
        for report in self.reader.reports() {
            failed = self.notices.note(report).err().or(failed);
        }
        if let Some(violation) = failed {
            self.reader.fail(violation);
        }
        let repairs = self.reader.repairs();
        if !repairs.is_empty() {
            Notices::note_repairs(repairs);
        }
    }
}

impl<S: AsyncRead + Unpin> Framed<S> {
    /// Reads behind the torn frame and processes both; `None` at the end of the stream.
    ///
    /// The caller's buffer must have room for the torn frame and at least one byte.
    /// If nothing was read, the buffer is left as it was.
    fn read_in_place(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<Option<Work>>> {
        let start = into.filled().len();
        into.put_slice(&self.torn);
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let after = into.filled().len();
        if !matches!(read, Poll::Ready(Ok(()))) || after == before {
            into.set_filled(start);
            return read.map_ok(|()| None);
        }
        let bytes = &mut into.filled_mut()[start..];
        let work = self.reader.work(bytes);
        self.torn.clear();
        self.torn.extend_from_slice(&bytes[bytes.len() - work.torn..]);
        into.set_filled(start + work.output);
        Poll::Ready(Ok(Some(work)))
    }

    /// Reads at most what the torn frame lacks, and processes it once it is complete; `None` at the end of the stream.
    ///
    /// Never reads behind the frame, so that what follows can be processed in place.
    fn read_aside(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Work>>> {
        let before = self.torn.len();
        self.torn.resize(Head::needed(&self.torn).clamp(before + 1, before + STEP), 0);
        let mut rest = ReadBuf::new(&mut self.torn[before..]);
        let read = Pin::new(&mut self.stream).poll_read(context, &mut rest);
        let count = rest.filled().len();
        self.torn.truncate(before + count);
        if !matches!(read, Poll::Ready(Ok(()))) || count == 0 {
            return read.map_ok(|()| None);
        }
        let work = self.reader.work(&mut self.torn);
        if work.torn == 0 {
            let torn = std::mem::take(&mut self.torn);
            self.put_back(&torn[..work.output]);
            self.torn = torn;
            self.torn.clear();
        }
        Poll::Ready(Ok(Some(Work { output: 0, ..work })))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    /// A violation is an error of kind `InvalidData` with the `Violation` inside,
    /// by which `errors` recognises it. Every later read returns it again.
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = into.remaining();
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.give_out(into) {
                return Poll::Ready(Ok(()));
            }
            if let Some(violation) = this.reader.violation() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation.clone())));
            }
            // In a small buffer the torn frame would leave no room to read.
            let aside = this.torn.len() >= room.min(MOVED);
            let read = if aside { this.read_aside(context) } else { this.read_in_place(context, into) };
            let Some(work) = ready!(read)? else { return Poll::Ready(Ok(())) };
            this.report();
            if work.output > 0 {
                return Poll::Ready(Ok(()));
            }
            if work.swallowed && this.output.1 == this.output.0.len() {
                // lapin takes silence for a lost connection, so a heartbeat stands in for what was
                // removed.
                this.put_back(&HEARTBEAT);
            }
        }
    }
}

write_unchanged!(Framed);
