//! `scan`: one poll of each target as a report, for a terminal, for machines, and for the file of a security officer.
//!
//! [`Report`] is what all three show and, serialized, the JSON itself: docs/scan.md documents its shape, which only grows.

mod baseline;
mod build;
mod html;
mod junit;
mod report;
mod select;
mod stale;
mod summary;
mod text;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::domain::acceptance;
use crate::domain::exemption::Exemption;
use crate::domain::finding::controls::Framework;
use crate::domain::finding::{Kind, Severity, grouped};
use crate::domain::grade::Letter;
use crate::domain::{Api, Capability, Endpoint, ExemptReason, Factor, Module, Reason, UserType};

pub use baseline::{Previous, Unusable, compare};
pub use build::{LISTED, Terms, failed, identity, people_of, people_to_name, scan, target};
pub use html::{Show, class_of};
pub use junit::render as render_junit;
pub use report::{Frame, render as render_html, render_within, style as report_style};
pub use select::Selection;
pub use summary::Group;
pub use text::{Detail, Style, grade_text, percent, render as render_text, shown};

/// The version of the JSON's shape. It changes only when a field's meaning does or one goes.
pub const FORMAT: u32 = 1;

/// What was found on every target.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The exporter's version.
    pub exporter_version: &'static str,
    /// When the report was made.
    pub generated_at: Timestamp,
    /// Whose report it is, as the configuration says.
    pub organization: Option<String>,
    /// Who ran it.
    pub run_by: Option<String>,
    /// How many targets the configuration has.
    pub configured_targets: u64,
    /// What of them, and of their findings, is shown.
    pub selection: Selection,
    /// What changed since a previous report; `null` without one.
    pub baseline: Option<Baseline>,
    /// Findings about the configuration, which no single target can show.
    pub findings: Vec<Finding>,
    /// In the order in which they were asked for.
    pub targets: Vec<TargetReport>,
}

/// One target: either an error or what was found.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// The name in the configuration.
    pub target: String,
    /// Where it is.
    pub url: String,
    /// The database.
    pub database: String,
    /// How long a new account may do without a second factor.
    pub grace_seconds: u64,
    /// How long after the last login an account is dormant.
    pub dormant_seconds: u64,
    /// The numbers of the previous report, where it read the target; in the daemon, those that it remembers of 30 days ago.
    pub previous: Option<Numbers>,
    /// Why it could not be read.
    pub error: Option<Failure>,
    /// What was found.
    pub scan: Option<Scan>,
}

/// Why a target could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The kind, as in `odoo_poll_failing`.
    pub reason: Reason,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// What was found on one target. What is not known is `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    /// When the poll began.
    pub polled_at: Timestamp,
    /// Odoo's version.
    pub server_version: String,
    /// The API that was spoken.
    pub api: Api,
    /// What counts as a second factor.
    pub accepted_factors: Vec<Factor>,
    /// What the poll saw, all of it.
    pub seen: Seen,
    /// The letter.
    pub grade: Grade,
    /// Each type of user, also those without anybody.
    pub coverage: Vec<Coverage>,
    /// People in roles.
    pub privileged: Option<Privileged>,
    /// API keys.
    pub api_keys: Option<ApiKeys>,
    /// When the first of the polling account's own keys ends; `null` also where none has a date.
    pub poller_key_expiry: Option<Timestamp>,
    /// Browsers that skip the second factor.
    pub trusted_devices: Option<TrustedDevices>,
    /// What makes a second factor mandatory.
    pub enforcement: Option<Enforcement>,
    /// The installed ones of the modules that matter.
    pub modules: Option<Vec<Module>>,
    /// What the vantages reach; empty where none is configured.
    pub surface: Vec<Vantage>,
    /// What is not known, and what to grant.
    pub missing: Vec<Missing>,
    /// Kinds of findings whose absence means nothing, since something that they need is unknown.
    pub not_evaluated: Vec<Kind>,
    /// The exemptions that concern the target.
    pub exemptions: Vec<Exempted>,
    /// The most urgent first, accepted ones too.
    pub findings: Vec<Finding>,
}

/// How much the poll saw. Each number is complete: a part that is not completely visible is `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Users, active and archived.
    pub users: u64,
    /// Rows of API keys, expired ones and those of archived users too.
    pub api_keys: Option<u64>,
    /// Rows of trusted browsers, likewise.
    pub trusted_devices: Option<u64>,
}

/// An exemption of the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Exempted {
    /// Whom it is for, as the configuration says.
    pub whom: String,
    /// Why.
    pub reason: ExemptReason,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Where it was decided.
    pub ticket: Option<String>,
    /// Anything else.
    pub comment: Option<String>,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// As the label `state` of `odoo_mfa_exemptions`.
    pub state: &'static str,
    /// How many active users it matches.
    pub users: u64,
    /// Whether it stands in the defaults of the configuration.
    pub shared: bool,
}

/// The letter, and what keeps it from a better one.
#[derive(Debug, Clone, Serialize)]
pub struct Grade {
    /// With what is not known taken at its worst.
    pub letter: Letter,
    /// With what is not known taken at its best.
    pub at_best: Letter,
    /// Whether something that it needs is not known.
    pub incomplete: bool,
    /// The letter if no finding were accepted.
    pub without_acceptance: Letter,
    /// The most limiting first.
    pub limits: Vec<Limit>,
}

/// What keeps the grade down.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// The best letter that it allows.
    pub at_most: Letter,
    /// Why.
    pub because: String,
    /// Whether that is so because something is not known.
    pub unknown: bool,
}

/// One type of user. All numbers are people.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Which type.
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
    /// The wanted coverage.
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
    /// Active, whose bare password may open RPC.
    pub password_rpc: Option<u64>,
}

/// People in roles.
#[derive(Debug, Clone, Serialize)]
pub struct Privileged {
    /// Distinct eligible people in a role.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// Who they are, at most [`build::LISTED`].
    pub who: Vec<PrivilegedPerson>,
    /// Each role.
    pub roles: Vec<Role>,
}

/// Somebody privileged and unprotected.
#[derive(Debug, Clone, Serialize)]
pub struct PrivilegedPerson {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// In which roles.
    pub roles: Vec<String>,
    /// Whether the account is still within the grace period.
    pub in_grace: bool,
}

/// Somebody. Name and login are `null` where they were not looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// `res.users` id.
    pub id: u32,
    /// What the person is called.
    pub name: Option<String>,
    /// What the person logs in with.
    pub login: Option<String>,
}

/// One role. All numbers are people.
#[derive(Debug, Clone, Serialize)]
pub struct Role {
    /// Its name in the configuration.
    pub role: String,
    /// Eligible.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// Of those, past the grace period.
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
    /// How many people own one.
    pub owners: u64,
    /// By age in days.
    pub by_age: Vec<KeyAge>,
    /// Without a date.
    pub without_expiry: u64,
    /// Ending within 30 days.
    pub expiring_30d: u64,
    /// Rows past their date.
    pub expired: u64,
    /// Of people in a role.
    pub of_privileged: Option<u64>,
    /// Of people without an accepted factor.
    pub of_unprotected: Option<u64>,
    /// Unexpired ones of archived people.
    pub of_archived: u64,
}

/// How many working keys are of an age.
#[derive(Debug, Clone, Serialize)]
pub struct KeyAge {
    /// As the label `age` of `odoo_api_keys_by_age`.
    pub age: &'static str,
    /// The same in words.
    #[serde(skip)]
    pub words: &'static str,
    /// How many.
    pub keys: u64,
}

/// Browsers that skip the second factor.
#[derive(Debug, Clone, Serialize)]
pub struct TrustedDevices {
    /// Unexpired ones of active people.
    pub devices: u64,
    /// How many people own one.
    pub owners: u64,
}

/// What makes a second factor mandatory.
#[derive(Debug, Clone, Serialize)]
pub struct Enforcement {
    /// As the label `policy` of `odoo_mfa_policy`.
    pub policy: &'static str,
    /// For which types.
    pub covers: Vec<UserType>,
}

/// What one vantage reaches.
#[derive(Debug, Clone, Serialize)]
pub struct Vantage {
    /// Its name.
    pub vantage: String,
    /// When it was checked.
    pub checked_at: Timestamp,
    /// Each endpoint.
    pub endpoints: Vec<EndpointSeen>,
}

/// One endpoint from one vantage.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointSeen {
    /// Which.
    pub endpoint: Endpoint,
    /// Whether Odoo answers; `null` where that is not known.
    pub exposed: Option<bool>,
    /// Why it counts as that.
    pub why: String,
    /// Whether the configuration says that it must not.
    pub expected_blocked: bool,
}

/// A capability that is missing.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Which.
    pub capability: Capability,
    /// What was seen.
    pub seen: String,
    /// What to grant.
    pub grant: &'static str,
    /// Whether the configuration accepts that.
    pub accepted: bool,
}

/// A finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Names it for good: target, kind and subject.
    pub id: String,
    /// What, from a closed set.
    pub kind: Kind,
    /// Which one, where there may be several of a kind.
    pub subject: Option<String>,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What it means.
    pub detail: String,
    /// What to do.
    pub what_to_do: String,
    /// The controls that it concerns.
    pub controls: Vec<Clause>,
    /// The entry of the configuration that accepts it, also one that has expired.
    pub acceptance: Option<Acceptance>,
    /// How it compares with the previous report; `null` without one.
    pub change: Option<Change>,
    /// Whom it concerns, at most as many as were asked for.
    pub people: Vec<Person>,
    /// How many more it concerns, as far as ids are known.
    pub more_people: u64,
}

/// A control that a finding concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// Of which framework.
    pub framework: Framework,
    /// Its number there.
    pub clause: &'static str,
    /// A short label.
    pub title: &'static str,
}

/// Why a finding is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    /// Why.
    pub reason: String,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Where it was decided.
    pub ticket: Option<String>,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// Whether that day has passed: the finding counts again.
    pub expired: bool,
}

crate::domain::vocabulary::vocabulary! {
    /// How a finding compares with the previous report.
    Change {
        /// The previous report did not have it, had accepted it, or called it less urgent.
        New = "new",
        /// The previous report has it.
        Unchanged = "unchanged",
    }
}

/// What changed since a previous report.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    /// When the previous report was made.
    pub generated_at: Timestamp,
    /// By which version.
    pub exporter_version: String,
    /// Findings that count and did not.
    pub new: u64,
    /// Findings that count and did before.
    pub unchanged: u64,
    /// Findings that are gone.
    pub fixed: Vec<Gone>,
    /// Findings of which this report does not know whether they are gone.
    pub unknown: Vec<Gone>,
    /// Targets that the configuration no longer has.
    pub removed_targets: Vec<String>,
    /// Targets that the previous report does not have.
    pub added_targets: Vec<String>,
}

/// A finding of the previous report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// As [`Finding::id`].
    pub id: String,
    /// Its target; `null`: the configuration.
    pub target: Option<String>,
    /// What. Another version may have had other kinds.
    pub kind: String,
    /// Which one.
    pub subject: Option<String>,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub title: String,
}

/// The headline numbers of a target before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// When they were true.
    pub at: Timestamp,
    /// The letter, with what was unknown taken at its worst.
    pub grade: Option<Letter>,
    /// Protected internal users of the eligible ones.
    pub internal_ratio: Option<f64>,
    /// Privileged users without a second factor.
    pub privileged_unprotected: Option<u64>,
}

/// What the configuration says of a report.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// Whose report it is.
    pub organization: Option<&'a str>,
    /// Accepted findings.
    pub accept_findings: &'a [acceptance::Acceptance],
    /// The names of all targets.
    pub targets: &'a [String],
    /// The exemptions of the defaults.
    pub exemptions: &'a [Exemption],
}

/// `login x` without the x.
fn without_login(whom: &str) -> String {
    match whom.split_once(' ') {
        Some((matcher @ ("login" | "login_glob"), _)) => format!("{matcher} (not shown)"),
        _ => whom.to_owned(),
    }
}

impl Person {
    fn remove_name(&mut self) {
        (self.name, self.login) = (None, None);
    }
}

impl Finding {
    fn remove_names(&mut self) {
        self.people.iter_mut().for_each(Person::remove_name);
        if let Some(acceptance) = &mut self.acceptance {
            acceptance.approved_by = None;
        }
        if matches!(self.kind, Kind::ExemptionExpired | Kind::ExemptionUnmatched) {
            let whom = self.subject.as_deref().map(without_login);
            self.title = format!(
                "{}: {}",
                self.kind.title(),
                whom.as_deref().unwrap_or_default()
            );
            self.subject = whom;
            self.id = id(None, self.kind.as_str(), None);
        }
    }

    /// Whether it is accepted, and so counts in no grade and fails no run.
    pub fn is_accepted(&self) -> bool {
        self.acceptance.as_ref().is_some_and(|it| !it.expired)
    }

    /// How many users it concerns, as far as ids are known.
    pub fn concerned(&self) -> u64 {
        self.people.len() as u64 + self.more_people
    }

    /// The controls that it concerns, each framework once.
    pub fn controls_in_words(&self) -> String {
        let frameworks = self.controls.chunk_by(|a, b| a.framework == b.framework);
        let words = frameworks.map(|clauses| {
            let numbers: Vec<&str> = clauses.iter().map(|it| it.clause).collect();
            format!("{} {}", clauses[0].framework.name(), numbers.join(", "))
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

impl TargetReport {
    /// A target that the configuration does not have any more.
    pub fn unknown(name: &str, url: &str) -> Self {
        Self {
            target: name.to_owned(),
            url: url.to_owned(),
            database: String::new(),
            grace_seconds: 0,
            dormant_seconds: 0,
            previous: None,
            error: None,
            scan: None,
        }
    }
}

impl Acceptance {
    /// The reason, who approved it, where, and until when.
    pub fn in_words(&self) -> String {
        let mut words = self.reason.trim_end_matches('.').to_owned();
        if let Some(name) = &self.approved_by {
            words += &format!(", approved by {name}");
        }
        if let Some(ticket) = &self.ticket {
            words += &format!(", {ticket}");
        }
        if let Some(last) = self.expires {
            let verb = if self.expired { "expired on" } else { "until" };
            words += &format!(", {verb} {last}");
        }
        words
    }
}

impl Scan {
    /// As [`Report::remove_names`].
    pub fn remove_names(&mut self) {
        for who in self.privileged.iter_mut().flat_map(|it| &mut it.who) {
            who.person.remove_name();
        }
        for exempted in &mut self.exemptions {
            exempted.whom = without_login(&exempted.whom);
            exempted.approved_by = None;
            exempted.comment = None;
        }
        self.findings.iter_mut().for_each(Finding::remove_names);
    }

    /// Findings that are not accepted.
    pub fn counting(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|it| !it.is_accepted())
    }

    /// How many findings of a severity are not accepted.
    pub fn count(&self, severity: Severity) -> u64 {
        self.counting().filter(|it| it.severity == severity).count() as u64
    }

    /// How much was seen, and what is not visible: `saw 26 of 26 users, 40 of 40 API keys; policy not visible`.
    pub fn completeness(&self) -> String {
        let all = |number: u64, what: &str| format!("{0} of {0} {what}", grouped(number));
        let mut seen = vec![all(self.seen.users, "users")];
        seen.extend(self.seen.api_keys.map(|keys| all(keys, "API keys")));
        let missing: Vec<String> = self
            .missing
            .iter()
            .map(|it| it.capability.as_str().replace('_', " "))
            .collect();
        let seen = format!("saw {}", seen.join(", "));
        if missing.is_empty() {
            seen
        } else {
            format!("{seen}; {} not visible", missing.join(", "))
        }
    }

    /// The coverage of internal users.
    pub fn internal(&self) -> Option<&Coverage> {
        let mut rows = self.coverage.iter();
        rows.find(|row| row.user_type == UserType::Internal)
    }
}

impl Report {
    /// A report of these targets.
    pub fn new(
        generated_at: Timestamp,
        configured: &Configured<'_>,
        targets: Vec<TargetReport>,
    ) -> Self {
        Self {
            format: FORMAT,
            exporter_version: env!("CARGO_PKG_VERSION"),
            generated_at,
            organization: configured.organization.map(build::clean),
            run_by: None,
            configured_targets: configured.targets.len() as u64,
            selection: Selection::default(),
            baseline: None,
            findings: stale::findings(generated_at, configured, &targets),
            targets,
        }
    }

    /// Whether something was found that is not accepted and at least as urgent.
    pub fn has_at_least(&self, severity: Severity) -> bool {
        self.counting().any(|(_, it)| it.severity <= severity)
    }

    /// The same of what the previous report did not have. Without a previous report everything is new.
    pub fn has_new_at_least(&self, severity: Severity) -> bool {
        let old = Some(Change::Unchanged);
        self.counting()
            .any(|(_, it)| it.severity <= severity && it.change != old)
    }

    /// Whether a target could not be read, or not completely, though the configuration does not accept that.
    pub fn is_incomplete(&self) -> bool {
        self.targets.iter().any(|target| match &target.scan {
            None => true,
            Some(scan) => scan.missing.iter().any(|missing| !missing.accepted),
        })
    }

    /// Removes names and logins of users, also from what the configuration says of them. Counts stay.
    pub fn remove_names(&mut self) {
        let scans = self.targets.iter_mut().filter_map(|it| it.scan.as_mut());
        scans.for_each(Scan::remove_names);
        self.findings.iter_mut().for_each(Finding::remove_names);
    }

    /// All findings with their targets (none: the configuration), the most urgent first.
    pub fn all(&self) -> Vec<(Option<&TargetReport>, &Finding)> {
        let of_targets = self.targets.iter().flat_map(|target| {
            let findings = target.scan.iter().flat_map(|scan| &scan.findings);
            findings.map(move |finding| (Some(target), finding))
        });
        let of_all = self.findings.iter().map(|finding| (None, finding));
        let mut all: Vec<_> = of_all.chain(of_targets).collect();
        // Stable: within one kind, targets stay in their order.
        all.sort_by_key(|(_, finding)| (finding.severity, finding.kind));
        all
    }

    /// Those that are not accepted.
    pub fn counting(&self) -> impl Iterator<Item = (Option<&TargetReport>, &Finding)> {
        self.all().into_iter().filter(|(_, it)| !it.is_accepted())
    }
}

/// The name of a finding for good: target, kind and subject, with a slash between them. The target has no slash of its own.
pub fn id(target: Option<&str>, kind: &str, subject: Option<&str>) -> String {
    let target = target.unwrap_or_default();
    let target = target.replace('%', "%25").replace('/', "%2F");
    match subject {
        Some(subject) => format!("{target}/{kind}/{subject}"),
        None => format!("{target}/{kind}"),
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
