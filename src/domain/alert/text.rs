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
        ("runbook_url".to_owned(), runbook_url(rule)),
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
            format!("At least {value} of the people who may change settings or access rights in {t} have no accepted second factor, and their grace period is over. A stolen password is enough to take over the database."),
        ),
        Rule::PrivilegedWithoutMfa => (
            format!("{t}: people in role {role} have no second factor"),
            format!("People in the role {role} of {t} who have no accepted second factor and whose grace period is over: {value}."),
        ),
        Rule::PrivilegedDisabled => (
            format!("{t}: a privileged person's second factor was removed"),
            format!("People in a role of {t} who went from a second factor to none within the last hour: {value}. A new phone looks like this too; so does the first step of a takeover."),
        ),
        Rule::Disabled => (
            format!("{t}: several people lost their second factor within an hour"),
            format!("{value} people of {t} went from a second factor to none within the last hour. One is a new phone; several at once are a script, a module or an attack."),
        ),
        Rule::ProtectedDropped => (
            format!("{t}: fewer {user_type} people are protected than a day ago"),
            format!("Within a day {t} lost {value} protected {user_type} people whom leavers do not explain."),
        ),
        Rule::CoverageEroding => (
            format!("{t}: protection of {user_type} people erodes"),
            format!("Over seven days {t} lost {value} protected {user_type} people, a few at a time, whom leavers do not explain."),
        ),
        Rule::CoverageBelowTarget => (
            format!("{t}: coverage of {user_type} people is below the wanted one"),
            format!("Only {} of the eligible {user_type} people of {t} have an accepted second factor, less than the configuration wants (coverage_target).", percent()),
        ),
        Rule::NewPrivilegedPerson => (
            format!("{t}: somebody became privileged"),
            format!("People of {t} who came into their first privileged role within the last hour: {value}."),
        ),
        Rule::AdminLockoutRisk => (
            format!("{t}: one lost phone locks the administrators out"),
            format!("Exactly one person may change settings in {t}, and logs in with a second factor. Odoo has no recovery codes: if the device is lost, nobody can let that person in again."),
        ),
        Rule::EnforcementWeakened => (
            format!("{t}: the second factor is enforced for fewer people than a day ago"),
            format!("The policy in force in {t} no longer covers all types of user that it covered within the last day (lost: {value}): the parameter was changed, or its module was uninstalled."),
        ),
        Rule::BypassPresent => (
            format!("{t}: {} lets people around the second factor", label("mechanism")),
            format!("{t} has a way around the second factor ({}) that the configuration does not accept.", label("mechanism")),
        ),
        Rule::EndpointExposed => (
            format!("{t}: {} is reachable from {}", label("endpoint"), label("vantage")),
            format!("Odoo answers on {} of {t} when asked from {} without credentials, though the configuration says that this must be blocked.", label("endpoint"), label("vantage")),
        ),
        Rule::ExemptionStale => (
            format!("{t}: exemptions are {state}"),
            format!("Exemptions of {t} in the configuration that are {state}: {value}. An expired one no longer exempts anybody; an unmatched one would exempt the next person with that login."),
        ),
        Rule::ExemptPrivileged => (
            format!("{t}: an exempt person is in role {role}"),
            format!("Exempt people in the role {role} of {t}: {value}. They are in no figure of unprotected people."),
        ),
        Rule::WellKnownAccountActive => (
            format!("{t}: an account that stands for no user can act as one"),
            if label("severity") == "critical" {
                format!("Accounts of {t} that Odoo or a website uses for no user, and that are in a role: {value}. If a website uses one of them, every visitor has the rights of that role.")
            } else {
                format!("Accounts of {t} that Odoo or a website uses for no user (public user, portal template, default user, websites' users), and that can act as one: {value}. Visitors of a website have the rights of its user.")
            },
        ),
        Rule::ApiKeyOfArchivedUser => (
            format!("{t}: API keys of archived people were left behind"),
            format!("Unexpired API keys of archived people in {t}: {value}. They work again as soon as the owner is unarchived."),
        ),
        Rule::ApiKeyWithoutExpiry => (
            format!("{t}: API keys of privileged people never expire"),
            format!("Working API keys of people in a role of {t} that have no expiry date: {value}. Odoo 18 and later can give them one."),
        ),
        Rule::ApiKeyOld => (
            format!("{t}: API keys are older than a year"),
            format!("Working API keys in {t} that are 365 days old or older: {value}."),
        ),
        Rule::PollerKeyExpiring => {
            let left = lasting(value);
            let soon = if label("severity") == "critical" { "within two days" } else { "soon" };
            (
                format!("{t}: the exporter's own API key expires {soon}"),
                format!("The API key with which the exporter polls {t} expires in {left}; after that the target is dark."),
            )
        }
        Rule::CapabilityMissing => (
            format!("{t}: the polling account cannot see {} completely", label("capability")),
            format!("The polling account, or this version of Odoo, does not give {} of {t} completely. What depends on it is not exported, and no alert on it can fire.", label("capability")),
        ),
        Rule::TargetDown => {
            let why = detail.failing.map(|reason| format!(" ({reason})"));
            (
                format!("{t}: polls fail"),
                format!("Polls of {t} fail{}. Its figures are withdrawn, and its alerts stand still until it answers again.", why.unwrap_or_default()),
            )
        }
        Rule::TargetStale => (
            format!("{t}: no successful poll for {}", lasting(value)),
            format!("The last successful poll of {t} ended {} ago, more than two and a half intervals.", lasting(value)),
        ),
        Rule::FleetBlind => (
            "Polls of most targets fail".into(),
            format!("Only {} of the targets answer. So many at once are rarely Odoo's fault: look at the exporter's network, DNS, proxy and keys.", percent()),
        ),
        Rule::ConfigReloadFailed => (
            "odoo-mfa-exporter runs with an old configuration".into(),
            "The last reload of the configuration failed. The exporter goes on with the old one; it would not start with the new one.".into(),
        ),
        Rule::NotificationsFailing => (
            format!("odoo-mfa-exporter cannot deliver alerts to {}", label("alertmanager")),
            format!("The exporter keeps failing to send its own alerts to {}, or drops them.", label("alertmanager")),
        ),
        Rule::StoreFailing => (
            "odoo-mfa-exporter cannot use its store".into(),
            format!("{value} store errors within half an hour. What the store cannot keep is lost at the next restart: transitions, alert state, history."),
        ),
        Rule::Watchdog => (
            "Alerting for odoo-mfa-exporter works".into(),
            "Always firing. Route it to a dead man's switch, which rings when it stops arriving.".into(),
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
