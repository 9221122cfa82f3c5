//! Names of users for alerts, read from Odoo when an alert needs them.

use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::debug;

use crate::alerting::{Names, NamesUnavailable, Someone};
use crate::domain::IdSet;
use crate::web::directory::{Directory, Refused};

/// Asks the servers of the targets.
#[derive(Debug)]
pub(super) struct OdooNames(pub(super) Arc<Directory>);

impl OdooNames {
    async fn ask(
        &self,
        target: &str,
        people: &IdSet,
        limit: usize,
    ) -> Result<Vec<Someone>, Refused> {
        let people: IdSet = people.iter().take(limit).collect();
        let mut known = self.0.names(target, &people).await?;
        let someone = |id| {
            let person = known.remove(&id)?;
            Some(Someone {
                url: self.0.form(target, id)?,
                name: person.name,
                login: person.login,
            })
        };
        Ok(people.iter().filter_map(someone).collect())
    }
}

impl Names for OdooNames {
    fn names(
        &self,
        target: String,
        people: IdSet,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Someone>, NamesUnavailable>> {
        Box::pin(async move {
            let asked = self.ask(&target, &people, limit).await;
            asked.map_err(|refused| {
                debug!(target_name = target, %refused, "cannot read names for an alert");
                NamesUnavailable
            })
        })
    }
}
