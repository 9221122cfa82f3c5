//! State that two polls of a server share: its version, the account's id, accounts that stand for no user, ids of groups.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::{Call, call, database_is_named, result_of, whoami};
use super::error::{Error, Kind};
use super::plan::Learned;
use super::reply::{IdOrFalse, Release, Reply, SCALAR, reply};
use super::text::Text;
use super::transport::Transport;
use crate::config::ApiChoice;
use crate::domain::facts::Server;
use crate::domain::{Api, IdSet};

/// The state of a server between polls. Each poll reads the version again and starts over if it has changed.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) server: Server,
    pub(super) uid: u32,
    /// The accounts that Odoo creates and that stand for no user, by id, in the words of [`WELL_KNOWN`] without `base.`.
    pub(super) well_known: BTreeMap<u32, &'static str>,
    /// Those of them, and of the websites' users, that stood for no user in the last poll: archived, and without rights.
    pub(super) pseudo: Vec<u32>,
    /// True if API keys and trusted devices have an `expiration_date`.
    pub(super) keys_expire: bool,
    /// True if `exists` may be called: up to 18.
    pub(super) exists_is_public: bool,
    /// The account's own companies, where calls must name them.
    pub(super) companies: Option<Vec<u32>>,
    /// Optional fields that `res.users` has, and whether Odoo obeys a domain with them.
    fields: BTreeMap<String, Field>,
    /// Proofs and readings of earlier polls.
    pub(super) learned: Learned,
}

/// A field of `res.users`.
#[derive(Debug, Clone, Deserialize)]
struct Field {
    #[serde(default)]
    searchable: bool,
}

reply!(SCALAR => BTreeMap<String, Field>, Version);

/// The XML ids in the module `base` of accounts that stand for no user. [`SUPERUSER`] is another one, and has none before 12.
const WELL_KNOWN: &[&str] = &["default_user", PUBLIC_USER, "template_portal_user_id"];

/// The account that anonymous visitors act as.
pub(super) const PUBLIC_USER: &str = "public_user";

/// `__system__` (`base.user_root`), whose id Odoo's source fixes.
const SUPERUSER: u32 = 1;

/// Odoo numbers the accounts that it creates with a database from 1; in a migrated database they may be others.
const FIRST_USERS: u32 = 32;

/// From this release on there is no `base.default_user`.
const WITHOUT_DEFAULT_USER: (u32, u32) = (19, 0);

impl Session {
    /// The session for this poll: the last one if it is still of the same server, a new one otherwise.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not accept the key.
    pub async fn open<'s>(
        transport: &Transport,
        last: &'s mut Option<Self>,
    ) -> Result<&'s mut Self, Error> {
        let server = server(transport).await?;
        if last.as_ref().is_none_or(|last| last.server != server) {
            *last = Some(Self::start(transport, server).await?);
        }
        Ok(last.as_mut().expect("it was just set if it was not there"))
    }

    async fn start(transport: &Transport, server: Server) -> Result<Self, Error> {
        let uid = whoami(transport, server.api).await?;
        if server.api == Api::Json2 {
            database_is_named(transport).await?;
        }
        let mut session = Self {
            uid,
            well_known: BTreeMap::new(),
            pseudo: Vec::new(),
            keys_expire: false,
            exists_is_public: false,
            companies: None,
            fields: BTreeMap::new(),
            learned: Learned::default(),
            server,
        };
        session.keys_expire = session.do_keys_expire(transport).await?;
        session.exists_is_public = session.is_exists_public(transport).await?;
        session.well_known = session.find_well_known(transport).await?;
        Ok(session)
    }

    async fn do_keys_expire(&self, transport: &Transport) -> Result<bool, Error> {
        match self.server.release {
            release if release >= (18, 0) => Ok(true),
            // Odoo's own platform had it somewhere between 17 and 18.
            (17, 1..) => {
                let fields = Call::new("res.users.apikeys", "fields_get")
                    .arg("allfields", vec!["expiration_date"])
                    .named("attributes", vec!["type"]);
                let fields: BTreeMap<String, IgnoredAny> =
                    self.call(transport, fields, "the fields of keys").await?;
                Ok(fields.contains_key("expiration_date"))
            }
            _ => Ok(false),
        }
    }

    async fn is_exists_public(&self, transport: &Transport) -> Result<bool, Error> {
        let call = Call::new("res.users", "exists").arg("ids", vec![self.uid]);
        match self.call::<IdSet>(transport, call, "ids that exist").await {
            Ok(ids) => Ok(ids.iter().eq([self.uid])),
            Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NoSuchName) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds the accounts that stand for no user: among the first ids, and one by one in a database that has them elsewhere. Deleted ones
    /// are skipped.
    async fn find_well_known(
        &self,
        transport: &Transport,
    ) -> Result<BTreeMap<u32, &'static str>, Error> {
        let first: Vec<u32> = (1..=FIRST_USERS).collect();
        let asked = Call::new("res.users", "get_external_id").arg("ids", first);
        let first: BTreeMap<u32, Text> = self.call(transport, asked, "external ids").await?;
        let mut found = BTreeMap::from([(SUPERUSER, "user_root")]);
        for name in WELL_KNOWN {
            let xml_id = format!("base.{name}");
            let id = match first.iter().find(|(_, it)| ***it == xml_id) {
                Some((id, _)) => Some(*id),
                None if *name == "default_user" && self.server.release >= WITHOUT_DEFAULT_USER => {
                    None
                }
                None => match self.reference(transport, "base", name).await? {
                    Reference::Found(id) => Some(id),
                    Reference::Unknown => None,
                    Reference::Hidden => {
                        return Err(Error::new(
                            Kind::Incomplete,
                            format!("Odoo hides the account {xml_id} from the polling account"),
                        )
                        .hint("remove the record rule on Users that hides it (docs/odoo-account.md, 'Hidden users')"));
                    }
                },
            };
            found.extend(id.map(|id| (id, *name)));
        }
        Ok(found)
    }

    /// The record of an XML id. An unknown one writes a traceback into Odoo's log.
    pub(super) async fn reference(
        &self,
        transport: &Transport,
        module: &str,
        name: &str,
    ) -> Result<Reference, Error> {
        let call = Call::new("ir.model.data", "check_object_reference")
            .arg("module", module)
            .arg("xml_id", name)
            .with_archived();
        match self
            .call::<(IgnoredAny, IdOrFalse)>(transport, call, "an XML id")
            .await
        {
            Ok((_, IdOrFalse(Some(id)))) => Ok(Reference::Found(id)),
            Ok((_, IdOrFalse(None))) => Ok(Reference::Hidden),
            Err(error) if error.kind == Kind::NoSuchName => Ok(Reference::Unknown),
            Err(error) => Err(error),
        }
    }

    /// The server that answers.
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

    /// Returns true if `res.users` has a field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Returns true if Odoo obeys a domain with the field. Odoo 14, and early builds of 15 and 16, ignore one with `totp_enabled`, without an error.
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
        let method = match &self.companies {
            Some(companies) => method.within(companies),
            None => method,
        };
        self.call_anywhere(transport, method, what).await
    }

    /// The same without naming the account's companies.
    pub(super) async fn call_anywhere<T: Reply>(
        &self,
        transport: &Transport,
        method: Call,
        what: &str,
    ) -> Result<T, Error> {
        call(transport, self.server.api, self.uid, &method, what).await
    }
}

/// The record of an XML id.
pub(super) enum Reference {
    /// The record of this id.
    Found(u32),
    /// A record that the account may not see.
    Hidden,
    /// Nothing.
    Unknown,
}

/// A version as `/web/webclient/version_info` returns it, which every version answers from memory.
#[derive(Deserialize)]
struct Version {
    server_version: Text,
    server_version_info: Release,
}

/// Asks which version answers, and decides on the API.
async fn server(transport: &Transport) -> Result<Server, Error> {
    let what = "the version";
    let request = transport
        .post("/web/webclient/version_info")
        .json(&serde_json::json!({}));
    let reply = transport.reply(request, result_of, what).await;
    let Version {
        server_version: version,
        server_version_info: Release(release),
    } = reply?;
    let release = release.ok_or_else(|| {
        Error::new(
            Kind::Unexpected,
            format!("cannot parse the version '{version}'"),
        )
    })?;
    if release < (14, 0) {
        return Err(Error::new(
            Kind::Unexpected,
            format!("Odoo {version} has no second factor"),
        )
        .hint("Odoo has second factors from version 14 on"));
    }
    let api = match transport.target().api {
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
