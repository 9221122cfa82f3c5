//! The same facts in one call, from the module `mfa_auditor_use` (docs/odoo-addons.md).
//!
//! It answers accounts that may read all of it, and only what it is asked by name: logins, groups and modules, never a domain.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Question;
use super::keys::{self, KeyRow};
use super::settings::{self, Modules, module_names, policy_of};
use super::users::{group_field, in_all_companies};
use crate::domain::exemption::Matcher;
use crate::domain::facts::{
    Companion, Facts, Known, People, PortalGroups, Server, TrustedNetworks, Uses,
};
use crate::domain::{IdSet, PerType};
use crate::odoo::call::Call;
use crate::odoo::date::Date;
use crate::odoo::error::{Error, Kind};
use crate::odoo::reply::{self, Few, Ids, Named, Release, Reply, Rows, Setting, decode};
use crate::odoo::session::Session;
use crate::odoo::text::Text;
use crate::odoo::transport::Transport;

/// The field of `res.users` by which an account that may call the module knows that it is there, and speaks this format.
pub(super) const MARKER: &str = "mfa_auditor_facts_2";

/// The group of the module `mfa_auditor`.
pub(super) const AUDITORS: &str = "mfa_auditor.group_mfa_auditor";

/// True if the session found the module for this account.
pub(super) fn is_there(session: &Session) -> bool {
    session.has(MARKER)
}

/// Asks it; the inner error is what is known of it where it does not answer this poll, and then the facts are asked for one by one.
///
/// # Errors
/// If the server fails, or the account cannot see all users.
pub(super) async fn read(
    transport: &Transport,
    session: &Session,
    question: &Question<'_>,
) -> Result<Result<Facts, Companion>, Error> {
    let call = Call::new("mfa.auditor", "read_facts").arg("question", asked(question));
    let what = "the facts of mfa_auditor_use";
    let reply: Answer = match session.call(transport, call, what).await {
        Ok(reply) => reply,
        // The module was removed, or this account's right to it, or it has a bug.
        Err(error)
            if matches!(
                error.kind,
                Kind::NoSuchName | Kind::Forbidden | Kind::Unexpected
            ) =>
        {
            return Ok(Err(Companion::Failing(error.message)));
        }
        Err(error) => return Err(error),
    };
    let Answer { head, found } = reply;
    let server = Server {
        release: head
            .version_info
            .0
            .ok_or_else(|| unexpected("the version in the reply of mfa_auditor_use"))?,
        version: head.version.into(),
        api: session.server.api,
    };
    // After an upgrade the session learns everything again.
    if server != session.server {
        return Ok(Err(Companion::Absent));
    }
    in_all_companies(head.companies.0, head.companies.1)?;
    let mut found = found?;
    let modules = Modules::of(Known::Complete(std::mem::take(&mut found.modules.0)));
    let legacy_rpc = settings::legacy_rpc(transport, session, &modules).await;
    found
        .facts(session, head.uid, modules, legacy_rpc, question)
        .map(Ok)
}

fn asked(question: &Question<'_>) -> Value {
    let target = question.target;
    let exemptions = target.exemptions.iter().map(|entry| match &entry.matcher {
        Matcher::Login(login) => json!({"login": login}),
        Matcher::Glob(glob) => json!({"like": glob.like()}),
        Matcher::Group(xml_id) => json!({"group": xml_id.as_str()}),
    });
    let roles: BTreeMap<&str, Vec<&str>> = question
        .roles
        .iter()
        .map(|(role, xml_ids)| (role, xml_ids.iter().map(|xml_id| xml_id.as_str()).collect()))
        .collect();
    let parts = question.parts;
    let parts = [
        ("keys", parts.keys),
        ("devices", parts.devices),
        ("logins", parts.logins),
        ("sso", parts.sso),
        ("roles", parts.roles),
    ];
    let parts = parts.iter().filter(|(_, wanted)| *wanted);
    json!({
        "format": 2,
        "roles": roles,
        "exemptions": exemptions.collect::<Vec<_>>(),
        "recent_since": question.ago(target.grace),
        "awake_since": question.ago(target.dormant),
        "modules": module_names(question),
        "parts": parts.map(|(name, _)| *name).collect::<Vec<_>>(),
    })
}

/// The user of the account, and the number of companies that it is allowed in; in fewer than all there is nothing else.
#[derive(Deserialize)]
struct Head {
    version: Text,
    version_info: Release,
    uid: u32,
    companies: (usize, usize),
}

/// The head, and the rest where that is as expected.
struct Answer {
    head: Head,
    found: Result<Found, Error>,
}

impl Reply for Answer {
    const LIMIT: usize = reply::IDS;

    fn read(json: &[u8], what: &str) -> Result<Self, Error> {
        Ok(Self {
            head: decode(json, what)?,
            found: decode(json, what),
        })
    }
}

#[derive(Deserialize)]
struct Found {
    people: Everybody,
    well_known_active: Ids,
    well_known_privileged: Option<Ids>,
    missing_groups: Few<Text>,
    portal_groups: Groups,
    totp: Ids,
    passkey: Ids,
    archived_holders: Ids,
    recent: Ids,
    exemptions: Few<Ids>,
    modules: Few<Text>,
    policy: Setting,
    /// Rows with users, and rows without.
    trusted_networks: Option<(u32, u32)>,
    clear_text_keys: Option<Few<u32>>,
    administrators_spared: Option<bool>,
    archived_owners: Ids,
    roles: Option<Named<Ids>>,
    oauth: Option<Ids>,
    saml: Option<Ids>,
    awake: Option<Ids>,
    keys: Option<Rows<KeyRow>>,
    devices: Option<Rows<KeyRow>>,
    #[serde(rename = "use")]
    uses: Option<Used>,
}

#[derive(Deserialize)]
struct Everybody {
    internal: Ids,
    public: Ids,
    none: Ids,
    portal: u32,
    archived: PerType<u32>,
}

#[derive(Deserialize)]
struct Groups {
    portal: BTreeSet<u32>,
    internal: BTreeSet<u32>,
    nobody: BTreeSet<u32>,
}

#[derive(Deserialize)]
struct Used {
    since: Date,
    keys: Vec<(u32, Date)>,
    passwords: Vec<(u32, Date)>,
}

impl Found {
    #[expect(clippy::too_many_lines, reason = "one fact after the other")]
    fn facts(
        self,
        session: &Session,
        poller: u32,
        modules: Modules,
        legacy_rpc: Option<bool>,
        question: &Question<'_>,
    ) -> Result<Facts, Error> {
        let server = session.server.clone();
        let parts = question.parts;
        let wanted = parts
            .roles
            .then(|| question.roles.iter().map(|(role, _)| role.to_owned()));
        let wanted: BTreeSet<String> = wanted.into_iter().flatten().collect();
        let roles: BTreeMap<String, IdSet> = self
            .roles
            .into_iter()
            .flat_map(|Named(roles)| roles)
            .map(|(role, Ids(people))| (role, people))
            .collect();
        if roles.keys().ne(&wanted)
            || self.exemptions.0.len() != question.target.exemptions.len()
            || self.well_known_privileged.is_some() != parts.roles
            || self.keys.is_some() != parts.keys
            || self.uses.is_some() != parts.keys
            || self.devices.is_some() != parts.devices
            || self.awake.is_some() != parts.logins
            || self.oauth.is_some() != parts.sso
            || self.saml.is_some() != parts.sso
        {
            return Err(unexpected(
                "the reply of mfa_auditor_use does not match the question",
            ));
        }
        let keys = keys::complete(
            self.keys.map(|Rows(keys)| keys),
            self.devices.map(|Rows(devices)| devices),
            server.release,
            &self.archived_owners.0,
            poller,
            question.now,
        );
        Ok(Facts {
            now: question.now,
            clock_ahead: SignedDuration::ZERO,
            poller,
            people: People {
                internal: self.people.internal.0,
                public: self.people.public.0,
                none: self.people.none.0,
                portal: self.people.portal.into(),
                archived: PerType(self.people.archived.0.map(u64::from)),
            },
            well_known_active: self.well_known_active.0,
            well_known_privileged: self.well_known_privileged.map(|Ids(ids)| ids),
            missing_groups: self.missing_groups.0.into_iter().map(Into::into).collect(),
            totp: Known::Complete(self.totp.0),
            passkey: Known::Complete(self.passkey.0),
            archived_holders: self.archived_holders.0,
            oauth: asked_for(self.oauth),
            saml: asked_for(self.saml),
            recent: self.recent.0,
            awake: asked_for(self.awake),
            roles: if parts.roles {
                Known::Complete(roles)
            } else {
                Known::NotAsked
            },
            exemptions: self.exemptions.0.into_iter().map(|Ids(ids)| ids).collect(),
            break_glass_login: None,
            keys: keys.keys,
            devices: keys.devices,
            poller_key_expiry: keys.poller_expiry,
            policy: policy_of(Some(self.policy))?,
            legacy_rpc,
            modules: modules.known,
            trusted_networks: self.trusted_networks.map(|(personal, everybody)| {
                TrustedNetworks::Rows {
                    personal: personal.into(),
                    everybody: everybody.into(),
                }
            }),
            clear_text_keys: self.clear_text_keys.map(|Few(owners)| owners),
            administrators_spared: self.administrators_spared,
            companion: Companion::Answered,
            uses: self.uses.map(Uses::from),
            portal: PortalGroups {
                field: group_field(session).0,
                portal: self.portal_groups.portal,
                internal: self.portal_groups.internal,
                nobody: self.portal_groups.nobody,
            },
            server,
        })
    }
}

impl From<Used> for Uses {
    fn from(used: Used) -> Self {
        let dated = |list: Vec<(u32, Date)>| {
            list.into_iter()
                .map(|(id, date)| (id, Timestamp::from(date)))
                .collect()
        };
        Self {
            since: used.since.into(),
            keys: dated(used.keys),
            passwords: dated(used.passwords),
        }
    }
}

fn asked_for(ids: Option<Ids>) -> Known<IdSet> {
    ids.map_or(Known::NotAsked, |ids| Known::Complete(ids.0))
}

fn unexpected(message: impl Into<String>) -> Error {
    Error::new(Kind::Unexpected, message)
}
