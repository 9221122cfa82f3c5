//! Where encoded bytes go: kept as a whole while they are few, sent as they come from when they are more.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tokio::time::Instant;

use super::Body;

/// Takes encoded bytes, on a thread that may block.
pub struct Pieces {
    pending: Vec<u8>,
    to: To,
}

/// A piece of a stream.
#[derive(Debug)]
pub enum Piece {
    /// More follows.
    Next(Bytes),
    /// Nothing follows.
    Last(Bytes),
}

/// What became of all bytes.
pub enum Finished {
    /// There were few: here they are, and whoever asked waits for an answer.
    Kept {
        bytes: Vec<u8>,
        answer: oneshot::Sender<Body>,
        turn: OwnedMutexGuard<()>,
    },
    /// They were sent, and the stream waits for its end.
    Streamed(Stream),
}

/// Sends to one reader.
pub struct Stream {
    sender: mpsc::Sender<Piece>,
    deadline: Instant,
}

enum To {
    Keep {
        answer: oneshot::Sender<Body>,
        /// Others wait until it is dropped.
        turn: OwnedMutexGuard<()>,
    },
    Stream(Stream),
    /// Only while one becomes the other, and after the reader has gone.
    Nowhere,
}

/// The most of targets that is kept, in bytes as they are sent.
const KEPT_AT_MOST: usize = 4 << 20;
/// Large enough for few writes, small enough that a stream holds little.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES_AHEAD: usize = 4;
/// How long a reader may take for all of it, since it holds a thread: no scrape waits longer than its interval.
const READ_WITHIN: Duration = Duration::from_secs(60);

impl Pieces {
    /// Answers whoever asked; others wait for `turn` until they can be answered, too.
    pub fn new(answer: oneshot::Sender<Body>, turn: OwnedMutexGuard<()>) -> Self {
        Self {
            pending: Vec::new(),
            to: To::Keep { answer, turn },
        }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// When the reader of a stream went away or was too slow.
    pub fn write(&mut self, bytes: &[u8]) -> fmt::Result {
        self.pending.extend_from_slice(bytes);
        match &self.to {
            To::Keep { .. } if self.pending.len() > KEPT_AT_MOST => self.start_stream(),
            To::Stream(stream) if self.pending.len() >= PIECE => {
                stream.send(Piece::Next(std::mem::take(&mut self.pending).into()))
            }
            To::Keep { .. } | To::Stream(_) => Ok(()),
            To::Nowhere => Err(fmt::Error),
        }
    }

    fn start_stream(&mut self) -> fmt::Result {
        let To::Keep { answer, .. } = std::mem::replace(&mut self.to, To::Nowhere) else {
            return Err(fmt::Error);
        };
        let first = std::mem::take(&mut self.pending).into();
        let (sender, rest) = mpsc::channel(PIECES_AHEAD);
        answer
            .send(Body::Stream { first, rest })
            .map_err(|_| fmt::Error)?;
        self.to = To::Stream(Stream {
            sender,
            deadline: Instant::now() + READ_WITHIN,
        });
        Ok(())
    }

    /// After the last bytes. `None` after an error.
    pub fn finish(self) -> Option<Finished> {
        match self.to {
            To::Keep { answer, turn } => Some(Finished::Kept {
                bytes: self.pending,
                answer,
                turn,
            }),
            To::Stream(stream) => {
                stream.send(Piece::Next(self.pending.into())).ok()?;
                Some(Finished::Streamed(stream))
            }
            To::Nowhere => None,
        }
    }
}

impl fmt::Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes())
    }
}

impl Stream {
    /// Sends the last piece.
    ///
    /// # Errors
    /// When the reader went away or was too slow.
    pub fn end(self, bytes: Bytes) -> fmt::Result {
        self.send(Piece::Last(bytes))
    }

    fn send(&self, piece: Piece) -> fmt::Result {
        let send = tokio::time::timeout_at(self.deadline, self.sender.send(piece));
        match Handle::current().block_on(send) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(fmt::Error),
        }
    }
}
