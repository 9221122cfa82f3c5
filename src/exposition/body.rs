//! The bodies of scrapes: kept for a moment while they are small, streamed while they are large.
//!
//! A body of up to 4 MB is encoded once for each format and coding, and answers all scrapes until something in it changes, for a second at
//! most. A larger one is encoded for each scrape, in steps, by a task that waits for its reader between the steps. A step takes a few
//! milliseconds and never waits, so the steps run on the runtime's own threads, two at a time: no client can keep another's scrape from
//! being encoded.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, Stream};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use super::catalog::ExporterReading;
use super::encode::{self, Format, Subject};
use super::process::Process;
use super::{Board, ExporterState, Family};
use crate::domain::TargetSnapshot;

/// Transport coding of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
}

/// The body of a scrape.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Larger than what is kept, and encoded while it is sent.
    Stream(mpsc::Receiver<Chunk>),
}

/// A part of a streamed body.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes,
    last: bool,
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
    encoders: Semaphore,
}

/// The bodies kept for one format and coding.
#[derive(Debug, Default)]
struct Kept {
    /// Locked while it is encoded: other scrapes wait for the result.
    whole: Mutex<Option<Whole>>,
    /// The last one was too large to be kept.
    large: AtomicBool,
}

/// A body that is kept.
#[derive(Debug)]
struct Whole {
    bytes: Bytes,
    /// Of the board and of the exporter's state, before it was encoded.
    generations: (u64, u64),
    encoded: Instant,
}

/// A body is kept up to this size, in bytes as they are sent.
const KEPT_AT_MOST: usize = 4 << 20;
/// `process_*` are never older.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Steps that run at the same time.
const ENCODERS: usize = 2;
/// Bytes of a chunk: large enough for few writes, small enough that a stream holds little.
const CHUNK: usize = 64 << 10;
/// Chunks that wait for a slow reader.
const CHUNKS_AHEAD: usize = 1;
/// A reader that takes no chunk for this time is dropped.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Targets whose samples of one family are encoded together: a step is little more than a chunk.
const TARGETS_AT_ONCE: usize = 128;

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
            encoders: Semaphore::new(ENCODERS),
        })
    }

    /// Answers with other families, from the next change of the board on.
    pub fn set_families(&self, families: Vec<&'static Family>) {
        self.families.store(Arc::new(families));
    }

    /// Counters of the exporter itself.
    pub fn exporter(&self) -> &ExporterState {
        &self.exporter
    }

    /// The body. It is at least as new as the call; `process_*` are at most a second older.
    pub async fn body(self: &Arc<Self>, format: Format, coding: Coding) -> Body {
        let kept = self.kept(format, coding);
        if !kept.large.load(Ordering::Relaxed) {
            let mut whole = kept.whole.lock().await;
            // Read before what they stand for, so that a change in between is not missed.
            let generations = (self.board.generation(), self.exporter.generation());
            if let Some(whole) = &*whole
                && whole.generations == generations
                && whole.encoded.elapsed() < KEPT_FOR
            {
                return Body::Whole(whole.bytes.clone());
            }
            let encoded = Instant::now();
            *whole = self.encode_whole(format, coding).await.map(|bytes| Whole {
                bytes,
                generations,
                encoded,
            });
            if let Some(whole) = &*whole {
                return Body::Whole(whole.bytes.clone());
            }
            kept.large.store(true, Ordering::Relaxed);
        }
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let this = Arc::clone(self);
        tokio::spawn(async move { this.send(format, coding, sender).await });
        Body::Stream(receiver)
    }

    /// Encoding of one target's snapshot, without the exporter's own families.
    pub fn of_target(&self, target: Arc<TargetSnapshot>, format: Format) -> String {
        let subject = Subject::targets(&[target]);
        let mut text = String::new();
        for family in self.families.load().iter().filter(|it| it.is_of_targets()) {
            encode::family(&mut text, format, family, &subject).expect("a string takes everything");
        }
        encode::end(&mut text, format).expect("a string takes everything");
        text
    }

    fn kept(&self, format: Format, coding: Coding) -> &Kept {
        &self.kept[2 * format as usize + coding as usize]
    }

    /// All of it, unless it is too large to be kept.
    async fn encode_whole(&self, format: Format, coding: Coding) -> Option<Bytes> {
        let mut encoder = self.encoder(format, coding);
        while !self.step(&mut encoder).await {
            if encoder.out.bytes().len() > KEPT_AT_MOST {
                return None;
            }
        }
        let bytes = std::mem::take(encoder.out.bytes());
        (bytes.len() <= KEPT_AT_MOST).then(|| bytes.into_boxed_slice().into())
    }

    /// Sends it to one reader, and gives up when the reader is gone or takes nothing.
    async fn send(&self, format: Format, coding: Coding, reader: mpsc::Sender<Chunk>) {
        let mut encoder = self.encoder(format, coding);
        let mut total = 0;
        loop {
            let encoded = self.step(&mut encoder).await;
            let ready = encoder.out.bytes();
            while encoded || ready.len() >= CHUNK {
                let bytes: Bytes = ready.drain(..CHUNK.min(ready.len())).collect();
                let last = encoded && ready.is_empty();
                total += bytes.len();
                let sent = timeout(READ_WITHIN, reader.send(Chunk { bytes, last }));
                let Ok(Ok(())) = sent.await else {
                    return;
                };
                if last {
                    // There may be fewer targets than before.
                    let large = &self.kept(format, coding).large;
                    return large.store(total > KEPT_AT_MOST, Ordering::Relaxed);
                }
            }
        }
    }

    /// One step, when its turn has come. Returns whether it was the last.
    async fn step(&self, encoder: &mut Encoder) -> bool {
        let turn = self.encoders.acquire().await;
        let last = encoder.step();
        drop(turn);
        // Other work of the runtime comes first.
        yield_now().await;
        last
    }

    fn encoder(&self, format: Format, coding: Coding) -> Encoder {
        let snapshots = self.board.snapshots();
        let slices = snapshots.chunks(TARGETS_AT_ONCE);
        let exporter = Subject::Exporter(Arc::new(ExporterReading {
            state: Arc::clone(&self.exporter),
            targets: self.board.states(),
            process: Process::read(),
        }));
        Encoder {
            format,
            families: self.families.load_full(),
            of_targets: slices.map(Subject::targets).collect(),
            of_exporter: [exporter],
            family: 0,
            slice: 0,
            has_header: false,
            text: String::new(),
            out: match coding {
                Coding::Identity => Out::Identity(Vec::new()),
                Coding::Gzip => Out::Gzip(GzEncoder::new(Vec::new(), LEVEL)),
            },
        }
    }
}

/// The fastest level shrinks expositions to a tenth; level 4 takes four times as long for a quarter less.
const LEVEL: Compression = Compression::new(1);

/// Encodes one body in steps, family by family: those of the targets in slices.
struct Encoder {
    format: Format,
    families: Arc<Vec<&'static Family>>,
    of_targets: Vec<Subject>,
    of_exporter: [Subject; 1],
    /// The next step of the encoding.
    family: usize,
    slice: usize,
    /// The family has samples in an earlier slice.
    has_header: bool,
    text: String,
    out: Out,
}

enum Out {
    Identity(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// Encodes a chunk or more. Returns whether it was the last.
    fn step(&mut self) -> bool {
        while self.text.len() < CHUNK {
            let Some(family) = self.families.get(self.family) else {
                encode::end(&mut self.text, self.format).expect("a string takes everything");
                self.out.write(&self.text);
                self.out.finish();
                return true;
            };
            self.encode_slice(family);
        }
        self.out.write(&self.text);
        self.text.clear();
        false
    }

    fn encode_slice(&mut self, family: &'static Family) {
        let subjects = if family.is_of_targets() {
            &self.of_targets[..]
        } else {
            &self.of_exporter
        };
        if let Some(subject) = subjects.get(self.slice) {
            let begin = self.text.len();
            encode::family(&mut self.text, self.format, family, subject)
                .expect("a string takes everything");
            if self.has_header {
                let header = header(&self.text[begin..]);
                self.text.drain(begin..begin + header);
            }
            self.has_header |= self.text.len() > begin;
        }
        self.slice += 1;
        if self.slice >= subjects.len() {
            self.family += 1;
            self.slice = 0;
            self.has_header = false;
        }
    }
}

/// Length of the lines before the samples of a family.
fn header(family: &str) -> usize {
    let lines = family.split_inclusive('\n');
    lines
        .take_while(|it| it.starts_with('#'))
        .map(str::len)
        .sum()
}

impl Out {
    fn write(&mut self, text: &str) {
        match self {
            Self::Identity(bytes) => bytes.extend_from_slice(text.as_bytes()),
            Self::Gzip(gzip) => gzip
                .write_all(text.as_bytes())
                .expect("a vector takes everything"),
        }
    }

    fn finish(&mut self) {
        if let Self::Gzip(gzip) = self {
            gzip.try_finish().expect("a vector takes everything");
        }
    }

    /// Bytes that are encoded and not yet taken.
    fn bytes(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Identity(bytes) => bytes,
            Self::Gzip(gzip) => gzip.get_mut(),
        }
    }
}

impl Body {
    /// Its bytes. Unless it is encoded to its end, the last item is an error: half an exposition must not pass for a whole one.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Interrupted>> + Send + 'static {
        stream::unfold(Some(self), async |body| match body? {
            Self::Whole(bytes) => Some((Ok(bytes), None)),
            Self::Stream(mut chunks) => Some(match chunks.recv().await {
                Some(Chunk { bytes, last }) => (Ok(bytes), (!last).then_some(Self::Stream(chunks))),
                None => (Err(Interrupted), None),
            }),
        })
    }
}
