//! The bodies that scrapes are answered with, kept for as long as they are true.
//!
//! A body has two parts. The *targets* part is large and changes only when a poller publishes: it is encoded, and compressed, once
//! for each format and coding however many scrapes ask for it. The *tail* is small: the exporter's own families and what ends the
//! exposition. It is encoded again whenever something in it has changed, and after a second because of `process_*`.
//!
//! In gzip both lie in one member: the targets part ends at a byte boundary (a sync flush), and the tail goes on from there with a
//! checksum that is combined from both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use flate2::Crc;
use futures::StreamExt;
use futures::stream::{self, Stream};
use tokio::sync::{mpsc, oneshot};

use super::catalogue::ExporterReading;
use super::encode::{self, Format, Subject};
use super::process::Process;
use super::{Board, ExporterState, Family};
use gzip::Gzip;
use pieces::{Finished, Piece, Pieces};

mod gzip;
mod pieces;

/// How the body is coded for transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
}

/// What a scrape is answered with.
#[derive(Debug)]
pub enum Body {
    /// All of it: the targets part and the tail.
    Whole([Bytes; 2]),
    /// More than is kept, and encoded while it is sent.
    Stream {
        /// What there is already.
        first: Bytes,
        /// What follows.
        rest: mpsc::Receiver<Piece>,
    },
}

/// The exposition was not encoded to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the exposition was not encoded to its end")]
pub struct Interrupted;

/// Answers scrapes from a board.
#[derive(Debug)]
pub struct Exposition {
    board: Arc<Board>,
    exporter: Arc<ExporterState>,
    families: Vec<&'static Family>,
    kept: [Kept; 4],
    times_encoded: AtomicU64,
}

/// What is kept for one format and coding.
#[derive(Debug, Default)]
struct Kept {
    targets: ArcSwapOption<TargetsPart>,
    /// Whose turn it is to encode: the others wait for the result.
    turn: Arc<tokio::sync::Mutex<()>>,
    tail: Mutex<Option<Tail>>,
}

/// The encoded families of the targets.
#[derive(Debug)]
struct TargetsPart {
    generation: u64,
    bytes: Bytes,
    crc: Crc,
}

/// The encoded families of the exporter, and the end.
#[derive(Debug)]
struct Tail {
    targets_generation: u64,
    exporter_generation: u64,
    encoded_at: Instant,
    bytes: Bytes,
}

/// `process_*` are never older.
const TAIL_LASTS: Duration = Duration::from_secs(1);

impl Exposition {
    /// Answers with these families.
    pub fn new(
        board: Arc<Board>,
        exporter: Arc<ExporterState>,
        families: Vec<&'static Family>,
    ) -> Arc<Self> {
        Arc::new(Self {
            board,
            exporter,
            families,
            kept: Default::default(),
            times_encoded: AtomicU64::new(0),
        })
    }

    /// How often the families of the targets have been encoded.
    pub fn times_encoded(&self) -> u64 {
        self.times_encoded.load(Ordering::Relaxed)
    }

    /// The body: everything in it is at least as new as the call, `process_*` at most a second older.
    ///
    /// # Errors
    /// When the encoder died, which would be a defect.
    pub async fn body(
        self: &Arc<Self>,
        format: Format,
        coding: Coding,
    ) -> Result<Body, Interrupted> {
        let kept = self.kept(format, coding);
        let wanted = self.board.generation();
        if let Some(part) = kept.targets_since(wanted) {
            return Ok(self.whole(format, coding, &part));
        }
        let turn = Arc::clone(&kept.turn).lock_owned().await;
        if let Some(part) = kept.targets_since(wanted) {
            return Ok(self.whole(format, coding, &part));
        }
        let (answer, answered) = oneshot::channel();
        let this = Arc::clone(self);
        // Should this scrape be given up, the encoder goes on, and the next scrape finds what it wrote.
        tokio::task::spawn_blocking(move || this.encode(format, coding, Pieces::new(answer, turn)));
        answered.await.map_err(|_| Interrupted)
    }

    fn kept(&self, format: Format, coding: Coding) -> &Kept {
        &self.kept[2 * format as usize + coding as usize]
    }

    fn whole(&self, format: Format, coding: Coding, part: &TargetsPart) -> Body {
        let mut kept = self
            .kept(format, coding)
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = kept.take().filter(|tail| {
            tail.targets_generation == part.generation
                && tail.exporter_generation == self.exporter.generation()
                && tail.encoded_at.elapsed() < TAIL_LASTS
        });
        // The generation is read before what it stands for, so that a change in between is not missed.
        let tail = fresh.unwrap_or_else(|| Tail {
            targets_generation: part.generation,
            exporter_generation: self.exporter.generation(),
            encoded_at: Instant::now(),
            bytes: self.encode_tail(format, coding, &part.crc),
        });
        let body = Body::Whole([part.bytes.clone(), tail.bytes.clone()]);
        *kept = Some(tail);
        body
    }

    /// Encodes the families of the targets and answers, at the end or as soon as there is more than is kept.
    ///
    /// # Errors
    /// When the reader of a stream went away or was too slow.
    fn encode(
        &self,
        format: Format,
        coding: Coding,
        mut pieces: Pieces,
    ) -> Result<(), Interrupted> {
        self.times_encoded.fetch_add(1, Ordering::Relaxed);
        let generation = self.board.generation();
        let subject = Subject::Targets(self.board.snapshots());
        let mut gzip = match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Gzip::new()),
        };
        for family in self.families.iter().filter(|family| family.is_of_targets()) {
            match &mut gzip {
                None => encode::family(&mut pieces, format, family, &subject),
                Some(gzip) => encode::family(gzip, format, family, &subject)
                    .and_then(|()| pieces.write(&gzip.take_compressed())),
            }
            .map_err(|_| Interrupted)?;
        }
        let mut crc = Crc::new();
        if let Some(mut gzip) = gzip {
            gzip.sync().map_err(|_| Interrupted)?;
            pieces
                .write(&gzip.take_compressed())
                .map_err(|_| Interrupted)?;
            crc.combine(gzip.crc());
        }
        match pieces.finish().ok_or(Interrupted)? {
            Finished::Kept {
                bytes,
                answer,
                turn,
            } => {
                let part = Arc::new(TargetsPart {
                    generation,
                    bytes,
                    crc,
                });
                self.kept(format, coding)
                    .targets
                    .store(Some(Arc::clone(&part)));
                // Whoever asked may be gone.
                let _ = answer.send(self.whole(format, coding, &part));
                drop(turn);
                Ok(())
            }
            Finished::Streamed(stream) => {
                // From when there were fewer targets.
                self.kept(format, coding).targets.store(None);
                let tail = self.encode_tail(format, coding, &crc);
                stream.end(tail).map_err(|_| Interrupted)
            }
        }
    }

    fn encode_tail(&self, format: Format, coding: Coding, targets: &Crc) -> Bytes {
        let subject = Subject::Exporter(Arc::new(ExporterReading {
            state: Arc::clone(&self.exporter),
            targets: self.board.states(),
            process: Process::read(),
        }));
        let mut text = String::new();
        for family in self
            .families
            .iter()
            .filter(|family| !family.is_of_targets())
        {
            encode::family(&mut text, format, family, &subject).expect("a string takes everything");
        }
        encode::end(&mut text, format).expect("a string takes everything");
        match coding {
            Coding::Identity => text.into(),
            Coding::Gzip => gzip::finish(&text, targets).into(),
        }
    }
}

impl Kept {
    /// The part, if it is as new as this generation.
    fn targets_since(&self, wanted: u64) -> Option<Arc<TargetsPart>> {
        let part = self.targets.load_full()?;
        (part.generation >= wanted).then_some(part)
    }
}

impl Body {
    /// Its length in bytes, if that is known before it is sent.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::Whole(parts) => Some(parts.iter().map(Bytes::len).sum()),
            Self::Stream { .. } => None,
        }
    }

    /// Its bytes. Unless it is encoded to its end, the last item is an error: half an exposition must not pass for a whole one.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Interrupted>> + Send + 'static {
        let (first, rest) = match self {
            Self::Whole(parts) => (parts, None),
            Self::Stream { first, rest } => ([first, Bytes::new()], Some(rest)),
        };
        let rest = stream::unfold(rest, async |rest| {
            let mut rest = rest?;
            match rest.recv().await {
                Some(Piece::Next(bytes)) => Some((Ok(bytes), Some(rest))),
                Some(Piece::Last(bytes)) => Some((Ok(bytes), None)),
                None => Some((Err(Interrupted), None)),
            }
        });
        let first = stream::iter(first.into_iter().filter(|bytes| !bytes.is_empty()));
        first.map(Ok).chain(rest)
    }
}
