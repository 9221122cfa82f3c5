//! Polls of servers whose clocks are behind: how the demo gets its history.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::memory::Remembered;
use super::once;
use crate::config::{Config, Target};
use crate::domain::role::Roles;
use crate::odoo::plan::Parts;
use crate::odoo::{Clients, Error, Session, Transport};
use crate::store::Store;

/// Timeout of the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// Polls each target on request, and records the result at the server's time.
#[derive(Debug)]
pub struct Past {
    targets: Vec<(Arc<Target>, Option<Session>)>,
    roles: Roles,
    clients: Clients,
    store: Remembered,
}

impl Past {
    /// For the targets of a configuration.
    pub fn new(config: &Config, store: Store) -> Self {
        let targets = config.targets.iter();
        Self {
            targets: targets.map(|target| (Arc::clone(target), None)).collect(),
            roles: config.roles.clone(),
            clients: Clients::default(),
            store: Remembered::new(store),
        }
    }

    /// Polls all targets once. One that fails is left out.
    pub async fn poll(&mut self) {
        let Self {
            targets,
            roles,
            clients,
            store,
        } = self;
        let polls = targets.iter_mut().map(async |(target, session)| {
            let _ = poll(target, session, roles, clients, store).await;
        });
        join_all(polls).await;
    }
}

async fn poll(
    target: &Arc<Target>,
    session: &mut Option<Session>,
    roles: &Roles,
    clients: &Clients,
    store: &Remembered,
) -> Result<(), Error> {
    let transport = Transport::new(clients, Arc::clone(target))?;
    let polled = once(
        &transport,
        session,
        target,
        roles,
        Parts::ALL,
        Timestamp::now(),
    )
    .await?;
    let Some(session) = session else {
        return Ok(());
    };
    let compared = store
        .compare(&transport, session, roles, &polled, true, PATIENCE)
        .await?;
    if let Some(compared) = compared {
        let at = polled.facts.now;
        store.record(compared.record(target, &polled, at)).await;
    }
    Ok(())
}
