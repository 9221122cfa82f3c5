//! Failures on demand, and the record of what was asked.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{clock::Time, methods::Violations, world::World};

/// Fault of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The connection is closed without a byte: a killed worker, a crashed proxy.
    Down,
    /// A good answer after this long.
    Slow(Duration),
    /// No answer at all; the connection stays open.
    Forever,
    /// PostgreSQL is down or refuses connections: the HTML 404 of JSON-2 (the same as for a wrong database), an `OperationalError` over
    /// JSON-RPC, `db_server_status: false` on the health page (18+), a 500 on every page in 14.
    PostgresDown,
    /// A proxy answers: status and body, `text/html`.
    Http(u16, String),
    /// The key does not open: 401 over JSON-2, `AccessDenied` over JSON-RPC, `false` from `authenticate`.
    AccessDenied,
    /// The call itself raises this exception: its Python name (such as `psycopg2.errors.QueryCanceled`) and message.
    Raise(&'static str, String),
    /// 200 with this body as `application/json`.
    Reply(String),
}

/// A fault and when it strikes.
#[derive(Debug, Clone)]
struct Rule {
    fault: Fault,
    model: Option<String>,
    method: Option<String>,
    left: Option<u32>,
}

/// The faults of a server or a database.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Every request goes wrong from now on.
    pub(super) fn set(&self, fault: Fault) {
        *lock(&self.0) = vec![Rule {
            fault,
            model: None,
            method: None,
            left: None,
        }];
    }

    pub(super) fn add(
        &self,
        model: Option<&str>,
        method: Option<&str>,
        times: Option<u32>,
        fault: Fault,
    ) {
        let rule = Rule {
            fault,
            model: model.map(Into::into),
            method: method.map(Into::into),
            left: times,
        };
        lock(&self.0).push(rule);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The fault that strikes this call; a counted one is used up by it.
    pub(super) fn strike(&self, model: Option<&str>, method: Option<&str>) -> Option<Fault> {
        let mut rules = lock(&self.0);
        let fits =
            |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        let at = rules
            .iter()
            .position(|rule| fits(&rule.model, model) && fits(&rule.method, method))?;
        let fault = rules[at].fault.clone();
        if let Some(left) = &mut rules[at].left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                rules.remove(at);
            }
        }
        Some(fault)
    }
}

/// Changes that wait for a request.
#[derive(Default)]
pub(super) struct Hooks(Mutex<Vec<Hook>>);

/// Action of a hook.
pub(super) type Change = Box<dyn FnOnce(&mut World) + Send>;

struct Hook {
    model: Option<String>,
    method: Option<String>,
    /// Number of matching requests until it acts, this one included.
    left: u32,
    change: Change,
}

impl Hooks {
    pub(super) fn add(&self, model: Option<&str>, method: Option<&str>, nth: u32, change: Change) {
        lock(&self.0).push(Hook {
            model: model.map(Into::into),
            method: method.map(Into::into),
            left: nth.max(1),
            change,
        });
    }

    /// The changes that are due before this call.
    pub(super) fn due(&self, model: &str, method: &str) -> Vec<Change> {
        let mut hooks = lock(&self.0);
        // Nearly always.
        if hooks.is_empty() {
            return Vec::new();
        }
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        for hook in hooks.iter_mut() {
            if fits(&hook.model, model) && fits(&hook.method, method) {
                hook.left -= 1;
            }
        }
        let due = hooks.extract_if(.., |hook| hook.left == 0);
        due.map(|hook| hook.change).collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.0).len()
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// `json2`, `jsonrpc`, or the path of a page.
    pub protocol: String,
    /// The model; empty for a page, the service for a call of `common` or `db`.
    pub model: String,
    /// The method.
    pub method: String,
    /// The arguments as JSON, without login, key or password.
    pub arguments: String,
}

/// Log of requests to a database, or to a server outside its databases.
#[derive(Debug, Default)]
pub struct RequestLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    total: u64,
    calls: BTreeMap<(String, String), u64>,
    writes: u64,
    secrets: u64,
    entries: VecDeque<LogEntry>,
    kept: usize,
}

impl RequestLog {
    /// A log that keeps the latest `kept` requests whole.
    pub(super) fn keeping(kept: usize) -> Self {
        Self(Mutex::new(Inner {
            kept,
            ..Inner::default()
        }))
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        lock(&self.0).total
    }

    /// Calls of one method of one model (or service).
    pub fn count(&self, model: &str, method: &str) -> u64 {
        lock(&self.0)
            .calls
            .get(&(model.into(), method.into()))
            .copied()
            .unwrap_or(0)
    }

    /// Calls that would have written. A client that only reads leaves it at 0.
    pub fn writes(&self) -> u64 {
        lock(&self.0).writes
    }

    /// Calls that named `totp_secret`, a key's text or the database's secret. It must stay at 0.
    pub fn secrets(&self) -> u64 {
        lock(&self.0).secrets
    }

    /// The latest requests, oldest first.
    pub fn entries(&self) -> Vec<LogEntry> {
        lock(&self.0).entries.iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut inner = lock(&self.0);
        *inner = Inner {
            kept: inner.kept,
            ..Inner::default()
        };
    }

    pub(super) fn note(&self, entry: LogEntry, violations: Violations) {
        let mut inner = lock(&self.0);
        inner.total += 1;
        inner.writes += u64::from(violations.write);
        inner.secrets += u64::from(violations.secret);
        *inner
            .calls
            .entry((entry.model.clone(), entry.method.clone()))
            .or_default() += 1;
        if inner.kept == 0 {
            return;
        }
        if inner.entries.len() == inner.kept {
            inner.entries.pop_front();
        }
        inner.entries.push_back(entry);
    }
}

/// Failed logins, and the checks that Odoo remembers. All callers count as one address.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<LoginState>);

#[derive(Debug, Default)]
struct LoginState {
    failures: u32,
    last: Time,
    known: HashSet<(u32, String)>,
}

impl Logins {
    /// Ten failures shut out for a minute after the last.
    pub(super) fn cools_down(&self, now: Time) -> bool {
        let state = lock(&self.0);
        state.failures >= 10 && now < state.last.saturating_add(60)
    }

    pub(super) fn failed(&self, now: Time) {
        let mut state = lock(&self.0);
        state.failures += 1;
        state.last = now;
    }

    pub(super) fn succeeded(&self, uid: u32, secret: &str) {
        let mut state = lock(&self.0);
        state.failures = 0;
        state.known.insert((uid, secret.into()));
    }

    pub(super) fn knows(&self, uid: u32, secret: &str) -> bool {
        lock(&self.0).known.contains(&(uid, secret.into()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
