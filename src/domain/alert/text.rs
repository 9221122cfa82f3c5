//! What alerts say: the same sentences as the Prometheus rules of the same names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Labels, Rule, Rules};
use crate::domain::Reason;

/// What an alert says beside its labels and its value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Why the target is down.
    pub failing: Option<Reason>,
    /// What there was before a loss, and what there is after it.
    pub before_after: Option<Box<(String, String)>>,
}

const RUNBOOKS: &str =
    "https://github.com/odoo-mfa-exporter/odoo-mfa-exporter/blob/main/docs/runbooks/";

/// Where it says what to do about an alert: a path in this repository.
pub fn runbook(rule: Rule) -> String {
    format!("docs/runbooks/{rule}.md")
}

/// The same as a URL.
pub fn runbook_url(rule: Rule) -> String {
    format!("{RUNBOOKS}{rule}.md")
}

/// What an alert says, without names of people: its rule's sentences, and what the configuration adds. Nothing if this version has no
/// such rule.
pub fn annotations(
    rules: &Rules,
    labels: &Labels,
    value: f64,
    detail: &Detail,
) -> BTreeMap<String, String> {
    let Some(rule) = labels.rule() else {
        return BTreeMap::new();
    };
    let (summary, description) = sentences(rule, labels, value, detail);
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), summary),
        ("description".to_owned(), description),
        ("runbook_url".to_owned(), rules.runbook_url(rule)),
    ]);
    if let Some((before, after)) = detail.before_after.as_deref() {
        annotations.insert("before".into(), before.clone());
        annotations.insert("after".into(), after.clone());
    }
    for (name, template) in &rules.get(rule).annotations {
        annotations.insert(name.clone(), template.fill(labels, value));
    }
    annotations
}

#[expect(clippy::too_many_lines, reason = "one arm for each rule")]
fn sentences(rule: Rule, labels: &Labels, value: f64, detail: &Detail) -> (String, String) {
    let label = |name: &str| labels.get(name).unwrap_or_default();
    let t = label("target");
    let (role, user_type, state) = (label("role"), label("user_type"), label("state"));
    let percent = || format!("{:.1}%", 100.0 * value);
    match rule {
        Rule::AdminWithoutMfa => (
            format!("{t}: an administrator has no second factor"),
            format!("At least {value} of the users who may change settings or access rights in {t} have no accepted second factor, and their grace period is over. A stolen password is enough to take over the database."),
        ),
        Rule::PrivilegedWithoutMfa => (
            format!("{t}: users in role {role} have no second factor"),
            format!("Users in the role {role} of {t} who have no accepted second factor and whose grace period is over: {value}."),
        ),
        Rule::PrivilegedDisabled => (
            format!("{t}: the second factor of a privileged user was removed"),
            format!("Users in a role of {t} who went from a second factor to none within the last 3 hours: {value}. A new phone looks like this too; so does the first step of a takeover."),
        ),
        Rule::Disabled => (
            format!("{t}: several users lost their second factor"),
            format!("Users of {t} who went from a second factor to none within the last 3 hours: {value}. One is a new phone; several at once are a script, a module or an attack."),
        ),
        Rule::ProtectedDropped => (
            format!("{t}: {user_type} users lost their protection"),
            format!("Eligible {user_type} users of {t} who lost their second factor within the last 7 days and are still without one: {value}."),
        ),
        Rule::CoverageBelowTarget => (
            format!("{t}: coverage of {user_type} users is below the coverage target"),
            format!("Only {} of the eligible {user_type} users of {t} who are past their grace period have an accepted second factor, less than the coverage target.", percent()),
        ),
        Rule::NewPrivilegedPerson => (
            format!("{t}: a user became privileged"),
            format!("Users of {t} who came into their first privileged role within the last 3 hours: {value}."),
        ),
        Rule::AdminLockoutRisk => (
            format!("{t}: one lost phone locks the administrators out"),
            format!("Exactly one user may change settings in {t}, and logs in with a second factor. Odoo has no recovery codes: if the device is lost, no other user can reset it."),
        ),
        Rule::EnforcementWeakened => (
            format!("{t}: a second factor is no longer enforced"),
            format!("A second factor was enforced in {t} within the last day, and no longer is. Affected types of user: {value}. The parameter was changed, or its module was uninstalled."),
        ),
        Rule::BypassPresent => (
            format!("{t}: {} bypasses the second factor", label("mechanism")),
            format!("{t} has a bypass of the second factor ({}) that the configuration does not accept.", label("mechanism")),
        ),
        Rule::EndpointExposed => (
            format!("{t}: {} is reachable from {}", label("endpoint"), label("vantage")),
            format!("Odoo answers on {} of {t} when asked from {} without credentials, although the configuration says that this must be blocked.", label("endpoint"), label("vantage")),
        ),
        Rule::ExemptionStale => (
            format!("{t}: exemptions are {state}"),
            format!("Exemptions of {t} in the configuration that are {state}: {value}. An expired one no longer exempts its users; an unmatched one would exempt the next user with that login."),
        ),
        Rule::ExemptPrivileged => (
            format!("{t}: a privileged user is exempt ({})", label("reason")),
            format!("Users in a role of {t} whom the configuration exempts ({}): {value}. No figure of unprotected users includes them.", label("reason")),
        ),
        Rule::WellKnownAccountActive => (
            format!("{t}: an account that stands for no user can act as one"),
            if label("severity") == "critical" {
                format!("Accounts of {t} that Odoo or a website uses for no user, and that are in a role: {value}. If a website uses one of them, every visitor has the rights of that role.")
            } else {
                format!("Accounts of {t} that Odoo or a website uses for no user (public user, portal template, default user, websites' users), and that can act as one: {value}. Visitors of a website have the rights of its user.")
            },
        ),
        Rule::BreakGlassUsed => (
            format!("{t}: the break-glass account was used"),
            format!("An account of {t} that the configuration exempts as break_glass logged in. It is for emergencies only."),
        ),
        Rule::ApiKeyExpiring => (
            format!("{t}: API keys expire within 7 days"),
            format!("Active API keys in {t} that expire within 7 days: {value}. Integrations that use them stop working then."),
        ),
        Rule::ApiKeyOfArchivedUser => (
            format!("{t}: API keys of archived users were left behind"),
            format!("Unexpired API keys of archived users in {t}: {value}. They work again as soon as the owner is unarchived."),
        ),
        Rule::ApiKeyWithoutExpiry => (
            format!("{t}: API keys of privileged users never expire"),
            format!("Active API keys of users in a role of {t} that have no expiry date: {value}. Odoo 18 and later can give them one."),
        ),
        Rule::ApiKeyOld => (
            format!("{t}: API keys are older than a year"),
            format!("Active API keys in {t} that are 365 days old or older: {value}."),
        ),
        Rule::PollerKeyExpiring => {
            let soon = if label("severity") == "critical" { "within two days" } else { "soon" };
            let when = if value > 0.0 {
                format!("expires in {}", lasting(value))
            } else {
                format!("expired {} ago", lasting(value))
            };
            (
                format!("{t}: the exporter's own API key expires {soon}"),
                format!("The API key with which the exporter polls {t} {when}. Without a valid key every poll fails."),
            )
        }
        Rule::CapabilityMissing => (
            format!("{t}: the capability {} is missing", label("capability")),
            format!("For at least a third of the last hour, the polling account lacked a permission for {} of {t}, or Odoo did not return it completely. Figures that need it are not exported, and alerts on them cannot fire.", label("capability")),
        ),
        Rule::TargetDown => {
            let why = detail.failing.map(|reason| format!(" ({reason})"));
            (
                format!("{t}: polls fail"),
                format!("Polls of {t} fail{}. Its figures are withdrawn. Its alerts keep their state until a poll succeeds.", why.unwrap_or_default()),
            )
        }
        Rule::TargetUnstable => (
            format!("{t}: polls alternate between failure and success"),
            format!("At least a third of the polls of {t} within the last 6 hours failed, with successful ones in between. Figures and alerts appear and disappear."),
        ),
        Rule::TargetStale => (
            format!("{t}: no successful poll for more than two and a half intervals"),
            format!("The last successful poll of {t} ended {} ago.", lasting(value)),
        ),
        Rule::FleetBlind => (
            "Polls of most targets fail".into(),
            format!("Only {} of the targets answer. Many failures at once usually have one cause: check the exporter's network, DNS, proxy and API keys.", percent()),
        ),
        Rule::ConfigReloadFailed => (
            "odoo-mfa-exporter runs with an old configuration".into(),
            "The last reload of the configuration failed. The exporter keeps the old one, and would not start with the new one.".into(),
        ),
        Rule::WebConfigRejected => (
            "odoo-mfa-exporter runs with an old web configuration".into(),
            "The last reload of the web configuration failed. Certificates, users and roles are the old ones.".into(),
        ),
        Rule::NotificationsFailing => (
            format!("odoo-mfa-exporter cannot deliver alerts to {}", label("alertmanager")),
            format!("The exporter repeatedly fails to send its own alerts to {}, or drops them.", label("alertmanager")),
        ),
        Rule::StoreFailing => (
            "odoo-mfa-exporter cannot use its store".into(),
            format!("Store errors within the last 150 minutes: {value}. Data that cannot be stored is lost at the next restart: transitions, alert state, history."),
        ),
        Rule::Watchdog => (
            "Alerting for odoo-mfa-exporter works".into(),
            "Always firing. Route it to a dead man's switch, which notifies you when this alert stops arriving.".into(),
        ),
    }
}

/// A time in its two largest units, such as `2d 5h`.
fn lasting(seconds: f64) -> String {
    let seconds = seconds.abs() as u64;
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let first = units
        .iter()
        .position(|(unit, _)| seconds >= *unit)
        .unwrap_or(3);
    let (unit, name) = units[first];
    let mut text = format!("{}{name}", seconds / unit);
    if let Some((next, name)) = units.get(first + 1)
        && seconds % unit / next > 0
    {
        text += &format!(" {}{name}", seconds % unit / next);
    }
    text
}
