//! The bodies that scrapes are answered with, kept for as long as they are true.
//!
//! A body has two parts. That of the *targets* is large and changes only when a poller publishes: it is encoded, and compressed,
//! once for each format and coding however many scrapes ask for it. The *tail* is small: the exporter's own families and what ends
//! the exposition. It is encoded again whenever something in it has changed, and after a second because of `process_*`.
//!
//! In gzip both lie in one member: the first part ends at a byte boundary (a sync flush), and the tail goes on from there with a
//! checksum that is combined from both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::Crc;
use futures::StreamExt;
use futures::stream::{self, Stream};
use tokio::sync::{mpsc, oneshot};

use super::catalogue::ExporterReading;
use super::encode::{self, Format, Subject};
use super::process::Process;
use super::{Board, ExporterState, Family};
use crate::domain::TargetSnapshot;
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
    /// All of it.
    Whole(Bytes),
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
    families: ArcSwap<Vec<&'static Family>>,
    kept: [Kept; 4],
    times_encoded: AtomicU64,
}

/// What is kept for one format and coding.
#[derive(Debug, Default)]
struct Kept {
    whole: Mutex<Option<Whole>>,
    /// Whose turn it is to encode: the others wait for the result.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A whole body. Both parts lie in one piece, so that they are sent with one write.
#[derive(Debug)]
struct Whole {
    bytes: Bytes,
    /// Where the tail begins.
    tail: usize,
    /// Of the board, when the targets were encoded.
    generation: u64,
    /// Of the targets' text.
    crc: Crc,
    /// Of the exporter's state, when the tail was encoded.
    tail_generation: u64,
    tail_encoded: Instant,
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
            families: ArcSwap::from_pointee(families),
            kept: Default::default(),
            times_encoded: AtomicU64::new(0),
        })
    }

    /// Answers with other families, from the next change of the board on.
    pub fn set_families(&self, families: Vec<&'static Family>) {
        self.families.store(Arc::new(families));
    }

    /// What the exporter counts about itself.
    pub fn exporter(&self) -> &ExporterState {
        &self.exporter
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
        if let Some(bytes) = self.since(wanted, format, coding) {
            return Ok(Body::Whole(bytes));
        }
        let turn = Arc::clone(&kept.turn).lock_owned().await;
        if let Some(bytes) = self.since(wanted, format, coding) {
            return Ok(Body::Whole(bytes));
        }
        let (answer, answered) = oneshot::channel();
        let this = Arc::clone(self);
        // Should this scrape be given up, the encoder goes on, and the next scrape finds what it wrote.
        tokio::task::spawn_blocking(move || this.encode(format, coding, Pieces::new(answer, turn)));
        answered.await.map_err(|_| Interrupted)
    }

    /// What one target's snapshot says, without the exporter's own families.
    ///
    /// # Errors
    /// When the encoder fails, which would be a defect.
    pub fn of_target(
        &self,
        target: Arc<TargetSnapshot>,
        format: Format,
    ) -> Result<String, Interrupted> {
        let subject = Subject::Targets([target].into());
        let mut text = String::new();
        for family in self
            .families
            .load()
            .iter()
            .filter(|family| family.is_of_targets())
        {
            encode::family(&mut text, format, family, &subject).map_err(|_| Interrupted)?;
        }
        encode::end(&mut text, format).map_err(|_| Interrupted)?;
        Ok(text)
    }

    fn kept(&self, format: Format, coding: Coding) -> &Kept {
        &self.kept[2 * format as usize + coding as usize]
    }

    /// What is kept, if its targets are as new as this generation; with a tail that is true now.
    fn since(&self, wanted: u64, format: Format, coding: Coding) -> Option<Bytes> {
        let mut kept = self.kept(format, coding).lock();
        let whole = kept.as_mut().filter(|whole| whole.generation >= wanted)?;
        let tail_is_true = whole.tail_generation == self.exporter.generation()
            && whole.tail_encoded.elapsed() < TAIL_LASTS;
        if !tail_is_true {
            // The generation is read before what it stands for, so that a change in between is not missed.
            whole.tail_generation = self.exporter.generation();
            whole.tail_encoded = Instant::now();
            let tail = self.encode_tail(format, coding, &whole.crc);
            whole.bytes = [&whole.bytes[..whole.tail], &tail].concat().into();
        }
        Some(whole.bytes.clone())
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
        let families = self.families.load_full();
        for family in families.iter().filter(|family| family.is_of_targets()) {
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
                mut bytes,
                answer,
                turn,
            } => {
                let tail = bytes.len();
                let tail_generation = self.exporter.generation();
                let tail_encoded = Instant::now();
                bytes.extend(self.encode_tail(format, coding, &crc));
                let bytes = Bytes::from(bytes.into_boxed_slice());
                *self.kept(format, coding).lock() = Some(Whole {
                    bytes: bytes.clone(),
                    tail,
                    generation,
                    crc,
                    tail_generation,
                    tail_encoded,
                });
                // Whoever asked may be gone.
                let _ = answer.send(Body::Whole(bytes));
                drop(turn);
                Ok(())
            }
            Finished::Streamed(stream) => {
                // From when there were fewer targets.
                *self.kept(format, coding).lock() = None;
                let tail = self.encode_tail(format, coding, &crc);
                stream.end(tail.into()).map_err(|_| Interrupted)
            }
        }
    }

    fn encode_tail(&self, format: Format, coding: Coding, targets: &Crc) -> Vec<u8> {
        let subject = Subject::Exporter(Arc::new(ExporterReading {
            state: Arc::clone(&self.exporter),
            targets: self.board.states(),
            process: Process::read(),
        }));
        let mut text = String::new();
        for family in self
            .families
            .load()
            .iter()
            .filter(|family| !family.is_of_targets())
        {
            encode::family(&mut text, format, family, &subject).expect("a string takes everything");
        }
        encode::end(&mut text, format).expect("a string takes everything");
        match coding {
            Coding::Identity => text.into_bytes(),
            Coding::Gzip => gzip::finish(&text, targets),
        }
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Option<Whole>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body {
    /// Its bytes. Unless it is encoded to its end, the last item is an error: half an exposition must not pass for a whole one.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Interrupted>> + Send + 'static {
        let (first, rest) = match self {
            Self::Whole(bytes) => (bytes, None),
            Self::Stream { first, rest } => (first, Some(rest)),
        };
        let rest = stream::unfold(rest, async |rest| {
            let mut rest = rest?;
            match rest.recv().await {
                Some(Piece::Next(bytes)) => Some((Ok(bytes), Some(rest))),
                Some(Piece::Last(bytes)) => Some((Ok(bytes), None)),
                None => Some((Err(Interrupted), None)),
            }
        });
        stream::once(async { Ok(first) }).chain(rest)
    }
}
