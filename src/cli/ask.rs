//! Polling every target once, for a command: several at a time, with a line of progress on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::config::{Config, Target};
use crate::odoo::plan::Parts;
use crate::odoo::{Clients, Error, Session, Transport};
use crate::poll::{Polled, once};

/// Targets that are asked at the same time.
const AT_ONCE: usize = 8;

/// The answer of one target.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) target: Arc<Target>,
    /// The poll, and what was asked after it.
    pub(super) result: Result<(Polled, T), Error>,
}

/// The way to a target, for what is asked after the poll.
pub(super) struct Asked<'a> {
    pub(super) transport: &'a Transport,
    pub(super) session: &'a Session,
    pub(super) target: &'a Target,
}

/// Polls these targets and then asks each of them something more, and gives the answers in their order.
pub(super) async fn ask<T>(
    config: &Config,
    targets: &[Arc<Target>],
    more: impl AsyncFn(Asked<'_>, &Polled) -> Result<T, Error>,
) -> Vec<Answer<T>> {
    let clients = Clients::default();
    let progress = Progress::new(targets.len());
    let one = async |target: &Target| {
        let transport = Transport::new(&clients, Arc::new(target.clone()))?;
        let mut session = None;
        let all = async {
            let polled = once(
                &transport,
                &mut session,
                target,
                &config.roles,
                Parts::ALL,
                Timestamp::now(),
            )
            .await?;
            let session = session
                .as_ref()
                .expect("a poll that succeeds leaves its session");
            let asked = Asked {
                transport: &transport,
                session,
                target,
            };
            let more = more(asked, &polled).await?;
            Ok((polled, more))
        };
        let answer = timeout(target.timeout, all).await;
        answer.unwrap_or_else(|_| Err(transport.timed_out(target.timeout)))
    };
    let answers = futures::stream::iter(targets)
        .map(async |target| {
            let result = one(target).await;
            progress.done(&target.name);
            Answer {
                target: Arc::clone(target),
                result,
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    progress.clear();
    answers
}

/// One line that says how far it is, on a terminal only.
struct Progress {
    all: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        let progress = Self {
            all,
            done: AtomicUsize::new(0),
            shown: stderr().is_terminal(),
        };
        progress.show(0, "");
        progress
    }

    fn done(&self, name: &str) {
        self.show(self.done.fetch_add(1, Ordering::Relaxed) + 1, name);
    }

    fn show(&self, done: usize, name: &str) {
        if self.shown {
            let all = self.all;
            let _ = write!(stderr(), "\r\x1b[Kpolling: {done} of {all} targets {name}");
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
