//! What is worth remembering of a server between two polls: its version, the account's id, who is no person, which group is which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::call::{Call, call, result_of, whoami};
use super::error::{Error, Kind};
use super::groups::{GroupRow, Groups};
use super::reply::{Release, Reply, SCALAR, reply};
use super::text::Text;
use super::transport::Transport;
use crate::config::ApiChoice;
use crate::domain::Api;
use crate::domain::facts::Server;

/// What is remembered of a server. Each poll asks the version again and starts over when it has changed.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) server: Server,
    pub(super) uid: u32,
    /// Ids of accounts that are nobody: `__system__` and the templates.
    pub(super) pseudo: Vec<u32>,
    /// Whether keys and trusted devices have an `expiration_date`.
    pub(super) keys_expire: bool,
    /// Which of the fields that some version or module lacks `res.users` has, and whether a domain with them is obeyed.
    fields: BTreeMap<String, Field>,
    /// XML ids of the groups that were there last, by their ids, in order.
    xml_ids: Box<[(u32, Arc<str>)]>,
}

/// A field of `res.users`.
#[derive(Debug, Clone, Deserialize)]
struct Field {
    #[serde(default)]
    searchable: bool,
}

reply!(SCALAR => BTreeMap<String, Field>, Version);

/// The XML ids of accounts that are nobody. Odoo creates them with the database, so their ids are small.
const PSEUDO_USERS: &[&str] = &[
    "base.user_root",
    "base.default_user",
    "base.public_user",
    "base.template_portal_user_id",
];

/// Odoo numbers the accounts that it creates with a database from 1.
const FIRST_USERS: u32 = 32;

impl Session {
    /// The session for this poll: the last one if it is still of the same server, a new one otherwise.
    ///
    /// # Errors
    /// When the server cannot be asked, or does not accept the key.
    pub async fn open<'s>(
        transport: &Transport,
        last: &'s mut Option<Self>,
    ) -> Result<&'s mut Self, Error> {
        let server = server(transport, last.as_ref().map(|last| last.server.api)).await?;
        if last.as_ref().is_none_or(|last| last.server != server) {
            *last = Some(Self::start(transport, server).await?);
        }
        Ok(last.as_mut().expect("it was just set if it was not there"))
    }

    async fn start(transport: &Transport, server: Server) -> Result<Self, Error> {
        let api = server.api;
        let uid = whoami(transport, api).await?;
        let ids: Vec<u32> = (1..=FIRST_USERS).collect();
        let xml_ids = external_ids(transport, api, uid, "res.users", &ids).await?;
        let pseudo: Vec<u32> = xml_ids
            .iter()
            .filter(|(_, xml_id)| PSEUDO_USERS.iter().any(|pseudo| *pseudo == &***xml_id))
            .map(|(id, _)| *id)
            .collect();
        // Without it, accounts that nobody can use would count as people.
        if !xml_ids
            .values()
            .any(|xml_id| &**xml_id == "base.public_user")
        {
            return Err(Error::new(
                Kind::Unexpected,
                "base.public_user is not among the first accounts of the database",
            ));
        }
        let keys_expire = match server.release {
            release if release >= (18, 0) => true,
            // Odoo's own platform had it somewhere between 17 and 18.
            (17, 1..) => {
                let fields = Call::new("res.users.apikeys", "fields_get")
                    .arg("allfields", vec!["expiration_date"])
                    .named("attributes", vec!["type"]);
                let fields: BTreeMap<String, IgnoredAny> =
                    call(transport, api, uid, &fields, "the fields of keys").await?;
                fields.contains_key("expiration_date")
            }
            _ => false,
        };
        Ok(Self {
            keys_expire,
            server,
            uid,
            pseudo,
            fields: BTreeMap::new(),
            xml_ids: Box::default(),
        })
    }

    /// Which server answers.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Asks which fields `res.users` has: modules come and go.
    pub(super) async fn learn_fields(
        &mut self,
        transport: &Transport,
        fields: &[&str],
    ) -> Result<(), Error> {
        let call = Call::new("res.users", "fields_get")
            .arg("allfields", fields)
            .named("attributes", vec!["searchable"]);
        self.fields = self
            .call(transport, call, "the fields of res.users")
            .await?;
        Ok(())
    }

    /// Whether `res.users` has a field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Whether a domain with the field is obeyed. Odoo 14 ignores one with `totp_enabled`, without an error.
    pub(super) fn can_search(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|field| field.searchable)
    }

    /// Calls a method as the polling account. `what` is the name of the reply in an error.
    pub(super) async fn call<T: Reply>(
        &self,
        transport: &Transport,
        method: Call,
        what: &str,
    ) -> Result<T, Error> {
        call(transport, self.server.api, self.uid, &method, what).await
    }

    /// The groups of the database. Their XML ids are asked again only when there is another group.
    pub(super) async fn groups(
        &mut self,
        transport: &Transport,
        implied: bool,
    ) -> Result<Groups, Error> {
        let fields = if implied {
            vec!["all_implied_ids"]
        } else {
            vec!["id"]
        };
        let rows = Call::new("res.groups", "search_read")
            .arg("domain", Value::Array(Vec::new()))
            .named("fields", fields)
            .named("order", "id")
            .with_archived();
        let rows: Vec<GroupRow> = self.call(transport, rows, "res.groups").await?;
        if !rows.iter().all(|row| self.xml_id(row.id).is_some()) || rows.len() != self.xml_ids.len()
        {
            let ids: Vec<u32> = rows.iter().map(|row| row.id).collect();
            let xml_ids =
                external_ids(transport, self.server.api, self.uid, "res.groups", &ids).await?;
            self.xml_ids = xml_ids
                .into_iter()
                .map(|(id, it)| (id, shared(&it)))
                .collect();
        }
        Ok(Groups::new(&rows, |id| self.xml_id(id)))
    }

    fn xml_id(&self, group: u32) -> Option<&Arc<str>> {
        let found = self.xml_ids.binary_search_by_key(&group, |(id, _)| *id);
        found.ok().map(|at| &self.xml_ids[at].1)
    }
}

static TEXTS: Mutex<BTreeSet<Arc<str>>> = Mutex::new(BTreeSet::new());

/// A text of which there is one copy for all sessions: the databases of a fleet call their groups the same.
fn shared(text: &str) -> Arc<str> {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    // Whenever there are twice as many, those are forgotten that no session has any more.
    if texts.len().is_power_of_two() {
        texts.retain(|text| Arc::strong_count(text) > 1);
    }
    let new: Arc<str> = text.into();
    texts.insert(Arc::clone(&new));
    new
}

/// XML ids of records; an empty one where a record has none.
async fn external_ids(
    transport: &Transport,
    api: Api,
    uid: u32,
    model: &'static str,
    ids: &[u32],
) -> Result<BTreeMap<u32, Text>, Error> {
    let asked = Call::new(model, "get_external_id").arg("ids", ids);
    call(transport, api, uid, &asked, "external ids").await
}

/// A version as the servers tell it: `/web/version` from 19 on, `/web/webclient/version_info` in every version up to then.
#[derive(Deserialize)]
struct Version {
    #[serde(alias = "server_version")]
    version: Text,
    #[serde(alias = "server_version_info")]
    version_info: Release,
}

/// Asks which version answers, and decides on the API.
async fn server(transport: &Transport, last: Option<Api>) -> Result<Server, Error> {
    let choice = transport.target().api;
    let what = "the version";
    let modern = async || {
        let request = transport.get("/web/version");
        transport.reply(request, Version::read, what).await
    };
    let legacy = async || {
        let request = transport
            .post("/web/webclient/version_info")
            .json(&serde_json::json!({}));
        transport.reply(request, result_of, what).await
    };
    let reply = match (choice, last) {
        (ApiChoice::JsonRpc, _) | (ApiChoice::Auto, Some(Api::Jsonrpc)) => legacy().await,
        (ApiChoice::Json2, _) | (ApiChoice::Auto, Some(Api::Json2)) => modern().await,
        (ApiChoice::Auto, None) => match modern().await {
            // 14 to 18 have no such path, and answer with a page or, before a database is chosen, in other ways.
            Err(error)
                if matches!(
                    error.kind,
                    Kind::NoSuchPath | Kind::NotOdoo | Kind::NoSuchName | Kind::NoDatabase
                ) =>
            {
                legacy().await
            }
            reply => reply,
        },
    };
    let Version {
        version,
        version_info,
    } = reply?;
    let release = version_info.0.ok_or_else(|| {
        Error::new(
            Kind::Unexpected,
            format!("the version '{version}' cannot be read"),
        )
    })?;
    if release < (14, 0) {
        return Err(Error::new(
            Kind::Unexpected,
            format!("Odoo {version} has no second factor"),
        )
        .hint("second factors exist from Odoo 14 on"));
    }
    let api = match choice {
        ApiChoice::Json2 => Api::Json2,
        ApiChoice::JsonRpc => Api::Jsonrpc,
        ApiChoice::Auto if release >= (19, 0) => Api::Json2,
        ApiChoice::Auto => Api::Jsonrpc,
    };
    Ok(Server {
        version: version.into(),
        release,
        api,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shared_as_long_as_a_session_has_it() {
        let kept = shared("kept");
        for number in 0..5_000 {
            shared(&format!("dropped {number}"));
        }
        assert!(Arc::ptr_eq(&kept, &shared("kept")));
        let texts = TEXTS.lock().expect("no test panicked");
        let dropped = texts.iter().filter(|text| text.starts_with("dropped "));
        assert!(dropped.count() < 2_500);
    }
}
