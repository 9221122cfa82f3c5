//! `scan`: one poll of each target as a report, for a terminal, for machines, and for the file of a security officer.
//!
//! [`Report`] is what all three show and, serialized, the JSON itself: docs/scan.md documents its shape, which only grows.

mod build;
mod html;
mod text;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::finding::Severity;
use crate::domain::grade::Letter;
use crate::domain::{Api, Capability, Endpoint, Factor, Module, Reason, UserType};

pub use build::{LISTED, failed, people_to_name, scan, target};
pub use html::{Show, class_of, render as render_html};
pub use text::{Style, grade_text, percent, render as render_text, shown};

/// The version of the JSON's shape. It changes only when a field's meaning does or one goes.
pub const FORMAT: u32 = 1;

/// The reports of all targets.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The exporter's version.
    pub exporter_version: &'static str,
    /// Creation time of the report.
    pub generated_at: Timestamp,
    /// In the order in which they were asked for.
    pub targets: Vec<TargetReport>,
}

/// One target: either an error or what was found.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// The name in the configuration.
    pub target: String,
    /// Its URL.
    pub url: String,
    /// The database.
    pub database: String,
    /// Why it could not be read.
    pub error: Option<Failure>,
    /// The report.
    pub scan: Option<Scan>,
}

/// Why a target could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The kind, as in `odoo_poll_failing`.
    pub reason: Reason,
    /// The error.
    pub message: String,
    /// The next step.
    pub hint: Option<&'static str>,
}

/// The report of one target. Unknown values are `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    /// Time at which the poll started.
    pub polled_at: Timestamp,
    /// Odoo's version.
    pub server_version: String,
    /// The API that was spoken.
    pub api: Api,
    /// The accepted factors.
    pub accepted_factors: Vec<Factor>,
    /// The letter.
    pub grade: Grade,
    /// Each type of user, also those without users.
    pub coverage: Vec<Coverage>,
    /// Users in roles.
    pub privileged: Option<Privileged>,
    /// API keys.
    pub api_keys: Option<ApiKeys>,
    /// Expiry of the first of the polling account's own keys; `null` also if none expires.
    pub poller_key_expiry: Option<Timestamp>,
    /// Browsers that skip the second factor.
    pub trusted_devices: Option<TrustedDevices>,
    /// The policy that makes a second factor mandatory.
    pub enforcement: Option<Enforcement>,
    /// The installed ones of the modules that matter.
    pub modules: Option<Vec<Module>>,
    /// Results of the vantage points; empty if none is configured.
    pub surface: Vec<Vantage>,
    /// Missing capabilities, and rights to grant.
    pub missing: Vec<Missing>,
    /// The most urgent first.
    pub findings: Vec<Finding>,
}

/// The letter, and what keeps it from a better one.
#[derive(Debug, Clone, Serialize)]
pub struct Grade {
    /// With unknown facts at their worst.
    pub letter: Letter,
    /// With unknown facts at their best.
    pub at_best: Letter,
    /// True if a fact that it needs is unknown.
    pub incomplete: bool,
    /// The most limiting first.
    pub limits: Vec<Limit>,
}

/// A limit of the grade.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// The best letter that it allows.
    pub at_most: Letter,
    /// Why.
    pub because: String,
    /// True if an unknown fact is the reason.
    pub unknown: bool,
}

/// One type of user. All numbers are users.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The type.
    pub user_type: UserType,
    /// Active.
    pub active: u64,
    /// Archived.
    pub archived: u64,
    /// Active and exempt.
    pub exempt: u64,
    /// Active and not exempt.
    pub eligible: u64,
    /// Eligible with an accepted factor.
    pub protected: Option<u64>,
    /// protected / eligible.
    pub ratio: Option<f64>,
    /// The coverage target.
    pub target: Option<f64>,
    /// Active with TOTP.
    pub totp: Option<u64>,
    /// Active with a passkey.
    pub passkey: Option<u64>,
    /// Unprotected within the grace period.
    pub grace: Option<u64>,
    /// Eligible with exactly one method.
    pub single_factor: Option<u64>,
    /// Unprotected and dormant.
    pub dormant_unprotected: Option<u64>,
    /// Active users whose password alone may open RPC.
    pub password_rpc: Option<u64>,
}

/// Users in roles.
#[derive(Debug, Clone, Serialize)]
pub struct Privileged {
    /// Distinct eligible users in a role.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// The users, at most [`build::LISTED`].
    pub who: Vec<PrivilegedPerson>,
    /// Each role.
    pub roles: Vec<Role>,
}

/// A privileged, unprotected user.
#[derive(Debug, Clone, Serialize)]
pub struct PrivilegedPerson {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// The user's roles.
    pub roles: Vec<String>,
    /// True if the account is within the grace period.
    pub in_grace: bool,
}

/// A user. Name and login are `null` if they were not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// `res.users` id.
    pub id: u32,
    /// Name of the user.
    pub name: Option<String>,
    /// Login of the user.
    pub login: Option<String>,
}

/// One role. All numbers are users.
#[derive(Debug, Clone, Serialize)]
pub struct Role {
    /// Its name in the configuration.
    pub role: String,
    /// Eligible.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// Of those, overdue ones.
    pub unprotected_past_grace: Option<u64>,
    /// Active and exempt.
    pub exempt: u64,
}

/// API keys: working ones unless the field says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct ApiKeys {
    /// All of them.
    pub working: u64,
    /// Of no scope.
    pub unrestricted: u64,
    /// Of the scope `rpc`.
    pub rpc: u64,
    /// Of another scope.
    pub other: u64,
    /// Number of owners.
    pub owners: u64,
    /// By age in days.
    pub by_age: Vec<KeyAge>,
    /// Without a date.
    pub without_expiry: u64,
    /// Ending within 30 days.
    pub expiring_30d: u64,
    /// Expired rows.
    pub expired: u64,
    /// Of users in a role.
    pub of_privileged: Option<u64>,
    /// Of users without an accepted factor.
    pub of_unprotected: Option<u64>,
    /// Unexpired ones of archived users.
    pub of_archived: u64,
}

/// Number of active API keys of an age.
#[derive(Debug, Clone, Serialize)]
pub struct KeyAge {
    /// As the label `age` of `odoo_api_keys_by_age`.
    pub age: &'static str,
    /// The same in words.
    #[serde(skip)]
    pub words: &'static str,
    /// Number of keys.
    pub keys: u64,
}

/// Browsers that skip the second factor.
#[derive(Debug, Clone, Serialize)]
pub struct TrustedDevices {
    /// Unexpired ones of active users.
    pub devices: u64,
    /// Number of owners.
    pub owners: u64,
}

/// The policy that makes a second factor mandatory.
#[derive(Debug, Clone, Serialize)]
pub struct Enforcement {
    /// As the label `policy` of `odoo_mfa_policy`.
    pub policy: &'static str,
    /// For which types.
    pub covers: Vec<UserType>,
}

/// Result of one vantage point.
#[derive(Debug, Clone, Serialize)]
pub struct Vantage {
    /// Its name.
    pub vantage: String,
    /// Time of the check.
    pub checked_at: Timestamp,
    /// Each endpoint.
    pub endpoints: Vec<EndpointSeen>,
}

/// One endpoint from one vantage point.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointSeen {
    /// Which.
    pub endpoint: Endpoint,
    /// True if Odoo answers; `null` if unknown.
    pub exposed: Option<bool>,
    /// Why it counts as that.
    pub why: String,
    /// True if the configuration says that it must be blocked.
    pub expected_blocked: bool,
}

/// A capability that is missing.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Which.
    pub capability: Capability,
    /// The observation.
    pub seen: String,
    /// The right to grant.
    pub grant: &'static str,
    /// True if the configuration accepts that.
    pub accepted: bool,
}

/// A finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What, from a closed set.
    pub kind: crate::domain::finding::Kind,
    /// The instance, if there can be several of a kind.
    pub subject: Option<String>,
    /// Severity.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// Meaning.
    pub detail: String,
    /// The next step.
    pub what_to_do: String,
    /// The affected users, at most [`build::LISTED`] of them.
    pub people: Vec<Person>,
    /// Number of further affected users whose ids are known.
    pub more_people: u64,
}

impl Report {
    /// A report of these targets.
    pub fn new(generated_at: Timestamp, targets: Vec<TargetReport>) -> Self {
        Self {
            format: FORMAT,
            exporter_version: env!("CARGO_PKG_VERSION"),
            generated_at,
            targets,
        }
    }

    /// The most urgent severity that was found on any target.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|(_, finding)| finding.severity).min()
    }

    /// Returns true if there is a finding of at least this severity.
    pub fn has_at_least(&self, severity: Severity) -> bool {
        self.worst().is_some_and(|worst| worst <= severity)
    }

    /// Returns true if a target could not be read, or not completely, and the configuration does not accept that.
    pub fn is_incomplete(&self) -> bool {
        self.targets.iter().any(|target| match &target.scan {
            None => true,
            Some(scan) => scan.missing.iter().any(|missing| !missing.accepted),
        })
    }

    /// All findings with their targets, the most urgent first.
    pub fn findings(&self) -> impl Iterator<Item = (&TargetReport, &Finding)> {
        let mut all: Vec<_> = self
            .targets
            .iter()
            .flat_map(|target| {
                let findings = target.scan.iter().flat_map(|scan| &scan.findings);
                findings.map(move |finding| (target, finding))
            })
            .collect();
        // Stable: within one kind, targets stay in their order.
        all.sort_by_key(|(_, finding)| (finding.severity, finding.kind));
        all.into_iter()
    }
}

/// The report as JSON, indented, with a line's end.
pub fn json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report)
        .expect("the report has no maps and no numbers that JSON lacks");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
