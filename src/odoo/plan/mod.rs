//! The requests of one poll, their order, and the proof that the answers are complete.
//!
//! Counts, and sets of ids by domain, cost Odoo little in a database of any size; rows cost a lot. So portal users are
//! counted, or found by their factors and roles; `totp_enabled` is only ever used as `= True` (19.0 answers `= False` with the users who have
//! it); groups are only ever used as `in` (19's `all_group_ids` answers `not in` with nearly all users).
//!
//! If Odoo has the module `mfa_auditor_use`, one call answers all of it: the module evaluates the same questions.

mod accounts;
mod answers;
mod companion;
mod groups;
mod keys;
mod people;
mod proof;
mod settings;
mod totp;
mod users;

pub use answers::answers;
pub(super) use proof::Learned;
pub(super) use users::{any, unless_false};

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::date;
use super::error::{Error, Kind};
use super::session::Session;
use super::transport::Transport;
use crate::config::Target;
use crate::domain::facts::{Companion, clocks_differ};
use crate::domain::role::Roles;
use crate::domain::standing::Terms;
use crate::domain::{Facts, IdSet};
use users::{FIELDS, Users};

/// The scope of a poll.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The target's configuration.
    pub target: &'a Target,
    /// The privileged roles.
    pub roles: &'a Roles,
    /// Now: by this host's clock, and by the server's once that has answered.
    pub now: Timestamp,
    /// The parts that are read.
    pub parts: Parts,
}

/// The parts of a poll that can be left out, when no family that needs them is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct Parts {
    /// API keys.
    pub keys: bool,
    /// Trusted devices.
    pub devices: bool,
    /// Logins.
    pub logins: bool,
    /// Links to identity providers.
    pub sso: bool,
    /// Users in roles.
    pub roles: bool,
}

impl<'a> Question<'a> {
    /// The same by the server's clock, which dates in Odoo follow. Unchanged if the server does not send its time.
    fn by_the_clock_of(&self, transport: &Transport) -> Self {
        Self {
            now: transport.server_time().unwrap_or(self.now),
            ..*self
        }
    }

    /// The parts of the configuration that the numbers depend on.
    pub fn terms(&self) -> Terms<'a> {
        Terms {
            accepted: &self.target.accepted_factors,
            exemptions: &self.target.exemptions,
        }
    }

    /// A time that long ago, as Odoo writes it: in UTC, without a zone.
    fn ago(&self, period: Duration) -> String {
        let period = jiff::SignedDuration::try_from(period).unwrap_or(jiff::SignedDuration::MAX);
        let then = self
            .now
            .checked_sub(period)
            .unwrap_or(Timestamp::UNIX_EPOCH);
        date::write(then)
    }
}

impl Parts {
    /// Everything.
    pub const ALL: Self = Self {
        keys: true,
        devices: true,
        logins: true,
        sso: true,
        roles: true,
    };
}

/// Reads everything that one poll must know. The session is opened, or renewed, on the way.
///
/// # Errors
/// If the server fails, or the account cannot see all users: then nothing is known.
pub async fn read(
    transport: &Transport,
    session: &mut Option<Session>,
    question: &Question<'_>,
) -> Result<Facts, Error> {
    let mut facts = ask(transport, session, question).await?;
    if let Some(server) = transport.server_time() {
        let ahead = server.duration_since(Timestamp::now());
        facts.clock_ahead = SignedDuration::from_secs(ahead.as_secs());
    }
    let entries = question.target.exemptions.iter();
    for (entry, users) in entries.zip(&mut facts.exemptions) {
        *users = entry.exempted_of(users, &facts.people);
    }
    if let Some(session) = session {
        facts.break_glass_login = people::last_login(transport, session, question, &facts).await?;
    }
    Ok(facts)
}

/// Asks in one call where the companion module answers, else one by one.
async fn ask(
    transport: &Transport,
    session: &mut Option<Session>,
    question: &Question<'_>,
) -> Result<Facts, Error> {
    let mut companion = Companion::Absent;
    let expected = session
        .as_ref()
        .filter(|session| companion::is_there(session));
    if let Some(session) = expected {
        let mut answer = companion::read(transport, session, question).await?;
        // It was asked by this host's clock, which the first answer shows to be wrong.
        let corrected = question.by_the_clock_of(transport);
        if clocks_differ(corrected.now.duration_since(question.now)) {
            answer = companion::read(transport, session, &corrected).await?;
        }
        match answer {
            Ok(facts) => return Ok(facts),
            Err(failing) => companion = failing,
        }
    }
    let session = Session::open(transport, session).await?;
    let question = &question.by_the_clock_of(transport);
    session.learn_fields(transport, FIELDS).await?;
    if companion == Companion::Absent && companion::is_there(session) {
        match companion::read(transport, session, question).await? {
            Ok(facts) => return Ok(facts),
            Err(failing) => companion = failing,
        }
    }
    // Users come and go while a poll reads: what does not fit is read once more.
    let mut again = true;
    loop {
        let users = Users::open(transport, session, question).await?;
        let facts = facts(&users, question).await?;
        if users.still_see_everybody().await? {
            if companion == Companion::Absent && users.groups.id(companion::AUDITORS).is_some() {
                companion = Companion::Auditor;
            }
            return Ok(Facts { companion, ..facts });
        }
        if !std::mem::take(&mut again) {
            return Err(Error::new(
                Kind::Unexpected,
                "users or the account's companies changed each time while they were read",
            )
            .hint("the next poll retries"));
        }
    }
}

async fn facts(users: &Users<'_>, question: &Question<'_>) -> Result<Facts, Error> {
    let rest = Box::pin(async {
        let keys = keys::read(users).await?;
        let modules = settings::modules(users).await?;
        let policy = settings::policy(users, &modules).await?;
        let passkey = users.passkey(&modules).await?;
        let (recent, awake) = (users.recent().await?, users.awake().await?);
        Ok((keys, modules, policy, passkey, recent, awake))
    });
    let people_and_totp = Box::pin(async {
        let (people, exemptions) = (users.people().await?, users.exemptions().await?);
        let roles = users.roles().await?;
        let privileged = roles.complete().into_iter().flat_map(BTreeMap::values);
        let privileged = privileged.fold(IdSet::new(), |all, people| all | people);
        let totp = users.totp(&privileged).await?;
        Ok((people, exemptions, roles, totp))
    });
    // In a large database both take long, and about as long.
    let second_place = users.are_many().then(|| users.transport.second_place());
    let (rest, (people, exemptions, roles, totp)) = match second_place.flatten() {
        Some(_taken) => tokio::try_join!(rest, people_and_totp)?,
        None => (rest.await?, people_and_totp.await?),
    };
    let (keys, modules, policy, passkey, recent, awake) = rest;
    let holders = totp.complete().into_iter().chain(passkey.complete());
    let archived_holders = holders.fold(IdSet::new(), |all, of| all | of) & &users.archived;
    let active = |people: IdSet| people - &users.archived;
    let oauth = users.oauth(&modules).await?;
    let saml = users.saml(&modules).await?;
    Ok(Facts {
        now: question.now,
        clock_ahead: SignedDuration::ZERO,
        server: users.session.server.clone(),
        poller: users.session.uid,
        people,
        well_known_active: users.accounts.well_known_active.clone(),
        well_known_privileged: users.well_known_privileged(),
        totp: totp.map(active),
        passkey: passkey.map(active),
        archived_holders,
        oauth,
        saml,
        recent,
        awake,
        roles,
        missing_groups: settings::missing_groups(users, &modules),
        exemptions,
        break_glass_login: None,
        poller_key_expiry: keys.poller_expiry,
        keys: keys.keys,
        devices: keys.devices,
        trusted_networks: settings::trusted_networks(users, &modules).await?,
        clear_text_keys: settings::clear_text_keys(users, &modules).await?,
        administrators_spared: settings::administrators_spared(users, &modules).await?,
        legacy_rpc: settings::legacy_rpc(users.transport, users.session, &modules).await,
        modules: modules.known,
        policy,
        companion: Companion::Absent,
        uses: None,
        portal: users.portal_groups(),
    })
}
