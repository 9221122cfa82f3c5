//! State that survives a restart: small values by key, kept by a store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;

use crate::store::{Error, Store};

/// A key, and its new value, or `None` if it is gone.
pub type Change = (String, Option<Vec<u8>>);

/// A key and its value.
pub type Kept = (String, Vec<u8>);

/// Why a store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatesError(pub String);

/// Keeps the state of alerts over restarts. Keys are short texts; values are a few kilobytes at most, and hold no names of users.
pub trait AlertStates: Send + Sync + std::fmt::Debug {
    /// Everything that is kept.
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>, StatesError>>;

    /// Keeps changes, all or none of them. If it succeeds, they survive the process.
    fn save(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), StatesError>>;
}

/// The kind of the alerts' values among others in the store.
const KIND: &str = "alerts";

impl AlertStates for Store {
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>, StatesError>> {
        Box::pin(async { self.load_state(KIND).await.map_err(StatesError::from) })
    }

    fn save(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), StatesError>> {
        Box::pin(async {
            self.save_states(KIND, changes)
                .await
                .map_err(StatesError::from)
        })
    }
}

impl From<Error> for StatesError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Keeps it as long as the process lives.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<String, Vec<u8>>>);

impl AlertStates for InMemory {
    fn load(&self) -> BoxFuture<'_, Result<Vec<Kept>, StatesError>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = kept.clone().into_iter().collect();
        Box::pin(std::future::ready(Ok(all)))
    }

    fn save(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), StatesError>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => kept.insert(key, value),
                None => kept.remove(&key),
            };
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
