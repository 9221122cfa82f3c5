//! Names of people for alerts, asked of Odoo when an alert needs them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use tokio::time::timeout;
use tracing::debug;

use crate::alerting::{Names, NamesUnavailable, Someone};
use crate::config::{Config, Target};
use crate::domain::IdSet;
use crate::odoo::{self, Clients, Error, Session, Transport};

/// Asks the servers of the targets of the configuration in force.
#[derive(Debug)]
pub(super) struct OdooNames {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) clients: Arc<Clients>,
}

impl OdooNames {
    async fn ask(
        &self,
        target: &Arc<Target>,
        people: &IdSet,
        limit: usize,
    ) -> Result<Vec<Someone>, Error> {
        let transport = Transport::new(&self.clients, Arc::clone(target))?;
        let mut session = None;
        let session = Session::open(&transport, &mut session).await?;
        let modern = session.server().release >= (18, 0);
        let people = odoo::names(&transport, session, people, limit).await?;
        let someone = |person: odoo::Person| Someone {
            url: form(target, person.id, modern),
            name: person.name,
            login: person.login,
        };
        Ok(people.into_iter().map(someone).collect())
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
            let config = self.config.load_full();
            let mut targets = config.targets.iter();
            let target = targets
                .find(|it| it.name == target)
                .ok_or(NamesUnavailable)?;
            let asked = timeout(target.timeout, self.ask(target, &people, limit)).await;
            match asked {
                Ok(Ok(named)) => Ok(named),
                Ok(Err(error)) => {
                    debug!(target = target.name, %error, "no names for an alert");
                    Err(NamesUnavailable)
                }
                Err(_elapsed) => Err(NamesUnavailable),
            }
        })
    }
}

/// Where somebody's form is in Odoo's web client.
fn form(target: &Target, id: u32, modern: bool) -> String {
    let base = target.url.as_str().trim_end_matches('/');
    if modern {
        format!("{base}/odoo/users/{id}")
    } else {
        format!("{base}/web#id={id}&model=res.users&view_type=form")
    }
}
