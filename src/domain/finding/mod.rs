//! What is wrong, in the order in which somebody should deal with it: each finding says what, whom it concerns, and what to do in Odoo.
//!
//! Nothing is found in what is not known: a missing capability is a finding of its own.

pub mod controls;
mod entries;
mod keys;
mod people;
mod server;

use std::collections::BTreeSet;

#[cfg(test)]
pub(crate) use entries::of_entries;
pub use entries::{expired_acceptance, unmatched_acceptance, unmatched_exemption};

use super::facts::{ApiKey, Facts, Known};
use super::posture::Posture;
use super::standing::{Standing, Terms};
use super::surface::{Checked, Exposure};
use super::vocabulary::{Bypass, Capability, Factor, vocabulary};
use super::{IdSet, PerType};

vocabulary! {
    /// How urgent a finding is, the most urgent first.
    Severity {
        /// Deal with it now.
        Critical = "critical",
        /// Deal with it.
        Warning = "warning",
        /// Know about it.
        Info = "info",
    }
}

vocabulary! {
    /// What was found. Within one severity, findings are ranked in this order.
    Kind {
        /// Administrators without a second factor.
        AdminWithoutMfa = "admin_without_mfa",
        /// One password opens every account.
        MasterPassword = "master_password",
        /// A network from which nobody needs the second factor, or only some do not.
        TrustedNetwork = "trusted_network",
        /// Nobody can enrol.
        TotpNotInstalled = "totp_not_installed",
        /// A vantage reaches what it must not.
        EndpointExposed = "endpoint_exposed",
        /// An account that Odoo or a website uses for no user can act as one.
        WellKnownAccountActive = "well_known_account_active",
        /// The exporter goes blind soon.
        PollerKeyExpiring = "poller_key_expiring",
        /// People in a role without a second factor.
        PrivilegedWithoutMfa = "privileged_without_mfa",
        /// One lost phone locks the administrators out.
        AdminLockoutRisk = "admin_lockout_risk",
        /// Nothing makes a second factor mandatory.
        EnforcementNone = "enforcement_none",
        /// A bare password opens RPC.
        PasswordRpcOpen = "password_rpc_open",
        /// Administrators act as somebody else.
        Impersonation = "impersonation",
        /// Fewer people are protected than wanted.
        CoverageBelowTarget = "coverage_below_target",
        /// Exempt people in a role.
        ExemptPrivileged = "exempt_privileged",
        /// A break-glass account whose logins are unknown.
        BreakGlassUnseen = "break_glass_unseen",
        /// A shared terminal with an API key.
        KioskHoldsApiKey = "kiosk_holds_api_key",
        /// Unexpired keys of archived people.
        KeysOfArchived = "keys_of_archived",
        /// API keys stored in clear text.
        ClearTextApiKeys = "clear_text_api_keys",
        /// Unprotected people who have not logged in for long.
        DormantUnprotected = "dormant_unprotected",
        /// The poller may do more than it must.
        PollerPrivileged = "poller_privileged",
        /// An exemption past its date.
        ExemptionExpired = "exemption_expired",
        /// An exemption for nobody.
        ExemptionUnmatched = "exemption_unmatched",
        /// An accepted finding that has expired.
        AcceptanceExpired = "acceptance_expired",
        /// An accepted finding that is not found.
        AcceptanceUnmatched = "acceptance_unmatched",
        /// A group of the configuration that does not exist.
        ConfiguredGroupMissing = "configured_group_missing",
        /// What the account cannot see.
        CapabilityMissing = "capability_missing",
        /// The clocks of this host and of the server differ.
        ClocksDiffer = "clocks_differ",
        /// People in a role without a second factor, within the grace period.
        PrivilegedInGrace = "privileged_in_grace",
        /// Administrators without a passkey.
        AdminsWithoutPasskey = "admins_without_passkey",
        /// Privileged users' keys without a scope.
        PrivilegedUnrestrictedKeys = "privileged_unrestricted_keys",
        /// Privileged people's keys without an expiry.
        PrivilegedKeysWithoutExpiry = "privileged_keys_without_expiry",
        /// Keys that expire within a week.
        KeysExpiring = "keys_expiring",
        /// Keys of portal users.
        KeysOfPortal = "keys_of_portal",
        /// Many keys on one account.
        ManyKeys = "many_keys",
        /// Keys older than a year.
        KeysOld = "keys_old",
        /// Keys whose owner has no second factor.
        KeysOfUnprotected = "keys_of_unprotected",
        /// Browsers that skip the second factor.
        TrustedDevices = "trusted_devices",
        /// People who hold nothing but a passkey, where the password alone still lets them in.
        PasskeyOnly = "passkey_only",
        /// People with one method, and no recovery codes.
        SingleFactor = "single_factor",
        /// Second factors that Odoo cannot see.
        SsoUnseen = "sso_unseen",
        /// The poller counts like a person.
        PollerNotExempt = "poller_not_exempt",
        /// What could not be asked from a vantage.
        SurfaceUnknown = "surface_unknown",
    }
}

/// Something that is wrong or worth knowing.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Which one, where there may be several of a kind: a role, a type of user, a capability, an endpoint, an exemption.
    pub subject: Option<String>,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What it means, and what it does not.
    pub detail: String,
    /// What to do about it, and where in Odoo.
    pub what_to_do: String,
    /// Whom it concerns, as far as ids are known: portal people are mostly only counted.
    pub people: IdSet,
}

/// Everything that findings are judged from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What Odoo said.
    pub facts: &'a Facts,
    /// Who is what.
    pub standing: &'a Standing,
    /// The numbers.
    pub posture: &'a Posture,
    /// What counts as protection, and who is exempt.
    pub terms: Terms<'a>,
    /// The wanted coverage, 0 to 1.
    pub coverage_target: PerType<Option<f64>>,
    /// Capabilities that are known to be missing.
    pub accept_missing: &'a BTreeSet<Capability>,
    /// Bypasses that are known and meant: a finding still, but none to act on.
    pub accept_bypasses: &'a BTreeSet<Bypass>,
    /// What the vantages reach; empty where none is configured.
    pub surface: &'a [Checked],
}

/// Everything that was found, the most urgent first. The order depends on nothing but the case.
pub fn findings(case: &Case) -> Vec<Finding> {
    let mut found = Vec::new();
    people::find(case, &mut found);
    keys::find(case, &mut found);
    server::find(case, &mut found);
    found.sort_by(|a, b| (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject)));
    // The same exemption may stand in the defaults and at the target.
    found.dedup_by(|a, b| (a.kind, &a.subject) == (b.kind, &b.subject));
    found
}

/// Kinds about the configuration, which only a report of all targets can find.
pub const OF_ALL_TARGETS: [Kind; 2] = [Kind::AcceptanceExpired, Kind::AcceptanceUnmatched];

impl Kind {
    /// What it is called where several findings of the kind are one line.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AdminWithoutMfa => "Administrators without a second factor",
            Self::MasterPassword => "One password opens every account",
            Self::TrustedNetwork => "Trusted networks skip the second factor",
            Self::TotpNotInstalled => "Two-factor authentication is not installed",
            Self::EndpointExposed => "Endpoints are reachable",
            Self::WellKnownAccountActive => "Accounts of no user can act as a user",
            Self::PollerKeyExpiring => "The exporter's own API key expires",
            Self::PrivilegedWithoutMfa => "Users in roles without a second factor",
            Self::AdminLockoutRisk => "One lost phone locks the administrators out",
            Self::EnforcementNone => "Nothing makes a second factor mandatory",
            Self::PasswordRpcOpen => "A password alone opens XML-RPC and JSON-RPC",
            Self::Impersonation => "Some users may act as others",
            Self::CoverageBelowTarget => "Coverage is below its target",
            Self::ExemptPrivileged => "Exempt users in roles",
            Self::BreakGlassUnseen => "Logins of break-glass accounts are not visible",
            Self::KioskHoldsApiKey => "Kiosk accounts hold API keys",
            Self::KeysOfArchived => "API keys of archived users",
            Self::ClearTextApiKeys => "API keys are stored in clear text",
            Self::DormantUnprotected => "Dormant users without a second factor",
            Self::PollerPrivileged => "The polling account has more rights than it needs",
            Self::ExemptionExpired => "Exemptions have expired",
            Self::ExemptionUnmatched => "Exemptions match no user",
            Self::AcceptanceExpired => "Accepted findings have expired",
            Self::AcceptanceUnmatched => "Accepted findings are not found",
            Self::ConfiguredGroupMissing => "Configured groups do not exist",
            Self::ClocksDiffer => "Clocks differ",
            Self::CapabilityMissing => "The polling account cannot see everything",
            Self::PrivilegedInGrace => "New users in roles without a second factor",
            Self::AdminsWithoutPasskey => "Administrators without a phishing-resistant factor",
            Self::PrivilegedUnrestrictedKeys => "API keys of privileged users without a scope",
            Self::PrivilegedKeysWithoutExpiry => "API keys of privileged users without an expiry",
            Self::KeysExpiring => "API keys expire soon",
            Self::KeysOfPortal => "API keys of portal users",
            Self::ManyKeys => "Accounts with many API keys",
            Self::KeysOld => "API keys older than a year",
            Self::KeysOfUnprotected => "API keys of users without a second factor",
            Self::TrustedDevices => "Trusted browsers skip the second factor",
            Self::PasskeyOnly => "Users protected by a passkey alone",
            Self::SingleFactor => "Users with one method only",
            Self::SsoUnseen => "Users linked to an identity provider",
            Self::PollerNotExempt => "The polling account counts as a user",
            Self::SurfaceUnknown => "Whether endpoints are reachable is unknown",
        }
    }
}

/// Roles whose people can give themselves every other right.
pub(in crate::domain) const ADMIN_ROLES: [&str; 2] = ["settings", "access_rights"];

impl Finding {
    fn new(kind: Kind, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            kind,
            subject: None,
            severity,
            title: title.into(),
            detail: String::new(),
            what_to_do: String::new(),
            people: IdSet::new(),
        }
    }

    fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    fn what_to_do(mut self, what_to_do: impl Into<String>) -> Self {
        self.what_to_do = what_to_do.into();
        self
    }

    fn people(mut self, people: IdSet) -> Self {
        self.people = people;
        self
    }
}

impl Case<'_> {
    /// Whether everything that findings of this kind are judged from is known: only then does their absence mean that there is none.
    pub fn evaluates(&self, kind: Kind) -> bool {
        let facts = self.facts;
        let keys = facts.keys.complete().is_some();
        let roles = facts.roles.complete().is_some();
        let modules = facts.modules.complete().is_some();
        let protection = self.standing.covered.is_some();
        let methods = facts.totp.complete().is_some() && facts.passkey.complete().is_some();
        let providers = facts.oauth.complete().is_some() && facts.saml.complete().is_some();
        match kind {
            Kind::AdminWithoutMfa
            | Kind::PrivilegedWithoutMfa
            | Kind::AdminLockoutRisk
            | Kind::PrivilegedInGrace => roles && protection,
            Kind::AdminsWithoutPasskey => roles && protection && methods,
            Kind::ExemptPrivileged | Kind::PollerPrivileged | Kind::ConfiguredGroupMissing => roles,
            Kind::MasterPassword
            | Kind::TrustedNetwork
            | Kind::TotpNotInstalled
            | Kind::Impersonation
            | Kind::ClearTextApiKeys => modules,
            Kind::KioskHoldsApiKey
            | Kind::KeysOfArchived
            | Kind::KeysExpiring
            | Kind::KeysOfPortal
            | Kind::ManyKeys
            | Kind::KeysOld => keys,
            Kind::PrivilegedUnrestrictedKeys | Kind::PrivilegedKeysWithoutExpiry => keys && roles,
            Kind::KeysOfUnprotected => keys && protection,
            Kind::PollerKeyExpiring => !matches!(facts.keys, Known::NotAsked),
            Kind::BreakGlassUnseen => !matches!(facts.awake, Known::NotAsked),
            Kind::EnforcementNone => self.posture.enforcement.is_some(),
            Kind::PasswordRpcOpen => self.posture.password_rpc.is_some(),
            Kind::CoverageBelowTarget => self.posture.protected.is_some(),
            Kind::DormantUnprotected => self.posture.dormant_unprotected.is_some(),
            Kind::TrustedDevices => self.posture.devices.is_some(),
            Kind::PasskeyOnly => methods || !self.terms.accepted.contains(&Factor::Passkey),
            Kind::SingleFactor => methods && self.posture.single_factor.is_some(),
            Kind::SsoUnseen => providers,
            Kind::EndpointExposed => self.surface_is_known(),
            Kind::SurfaceUnknown => !self.surface.is_empty(),
            Kind::WellKnownAccountActive
            | Kind::ExemptionExpired
            | Kind::ExemptionUnmatched
            | Kind::CapabilityMissing
            | Kind::ClocksDiffer
            | Kind::PollerNotExempt => true,
            Kind::AcceptanceExpired | Kind::AcceptanceUnmatched => false,
        }
    }

    /// Whether there are vantage points, and each shows of each endpoint whether it is reachable.
    fn surface_is_known(&self) -> bool {
        let mut seen = self.surface.iter().flat_map(|checked| &checked.endpoints);
        !self.surface.is_empty() && seen.all(|(_, seen)| seen.exposure != Exposure::Unknown)
    }

    /// Of active people, those who are eligible and unprotected.
    fn unprotected(&self, people: &IdSet) -> Option<IdSet> {
        self.standing.unprotected_of(self.facts, people)
    }

    /// Everybody active of a role; nobody where roles are not known.
    fn role(&self, name: &str) -> IdSet {
        self.facts
            .roles
            .complete()
            .and_then(|roles| roles.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// People whose administration rights reach everything.
    pub(super) fn admins(&self) -> IdSet {
        ADMIN_ROLES
            .iter()
            .fold(IdSet::new(), |all, role| all | self.role(role))
    }

    /// Active people who are no portal people: those whose ids are known.
    fn named(&self) -> IdSet {
        let people = &self.facts.people;
        &people.internal | &people.public | &people.none
    }

    /// Unexpired keys of active people.
    fn working_keys(&self) -> impl Iterator<Item = &ApiKey> {
        self.facts
            .keys
            .complete()
            .into_iter()
            .flatten()
            .filter(|key| key.owner_active && key.expires.is_none_or(|end| end > self.facts.now))
    }

    /// Where somebody finds the own second factor, keys and trusted devices.
    fn own_security_page(&self) -> &'static str {
        if self.facts.is_at_least((19, 0)) {
            "My Preferences > Security"
        } else {
            "Preferences (My Profile) > Account Security"
        }
    }

    /// Where an administrator finds the same of somebody else.
    fn security_page_of_others(&self) -> &'static str {
        if self.facts.is_at_least((19, 0)) {
            "Settings > Users & Companies > Users > the person > Security"
        } else {
            "Settings > Users & Companies > Users > the person > Account Security"
        }
    }
}

/// A count with its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", grouped(count))
    }
}

/// A count of people.
pub(crate) fn persons(count: u64) -> String {
    counted(count, "person", "people")
}

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Every, such as 'in the roles hr, sales'.
fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod tests;
