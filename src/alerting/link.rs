//! Links from alerts to the exporter's own pages.

use reqwest::Url;

use crate::domain::alert::{Labels, Rule};

/// The page of an alert: the list of affected users or keys, else of its target, else of all alerts.
pub(super) fn page(external: &Url, rule: Option<Rule>, labels: &Labels) -> Url {
    let mut url = external.clone();
    let Some(target) = labels.get("target") else {
        push(&mut url, &["alerts"]);
        return url;
    };
    let label = |name: &str| labels.get(name).unwrap_or_default();
    let (list, filter): (&str, Vec<(&str, &str)>) = match rule {
        Some(Rule::AdminWithoutMfa) => ("people", vec![("finding", "admin_without_mfa")]),
        Some(Rule::PrivilegedWithoutMfa) => (
            "people",
            vec![("state", "past_grace"), ("role", label("role"))],
        ),
        Some(Rule::ProtectedDropped | Rule::CoverageBelowTarget) => (
            "people",
            vec![("state", "unprotected"), ("user_type", label("user_type"))],
        ),
        Some(Rule::AdminLockoutRisk) => ("people", vec![("state", "active"), ("role", "settings")]),
        Some(Rule::ExemptPrivileged) => (
            "people",
            vec![
                ("state", "exempt"),
                ("role", "any"),
                ("reason", label("reason")),
            ],
        ),
        Some(Rule::BreakGlassUsed) => (
            "people",
            vec![("state", "exempt"), ("reason", "break_glass")],
        ),
        Some(Rule::WellKnownAccountActive) => {
            ("people", vec![("finding", "well_known_account_active")])
        }
        Some(Rule::PrivilegedDisabled | Rule::Disabled | Rule::NewPrivilegedPerson) => {
            ("changes", Vec::new())
        }
        Some(
            Rule::ApiKeyOfArchivedUser
            | Rule::ApiKeyWithoutExpiry
            | Rule::ApiKeyOld
            | Rule::ApiKeyExpiring,
        ) => ("keys", key_filter(rule)),
        _ => ("", Vec::new()),
    };
    push(&mut url, &["targets", target]);
    if !list.is_empty() {
        push(&mut url, &[list]);
    }
    if !filter.is_empty() {
        url.query_pairs_mut().extend_pairs(filter);
    }
    url
}

fn key_filter(rule: Option<Rule>) -> Vec<(&'static str, &'static str)> {
    let state = match rule {
        Some(Rule::ApiKeyOfArchivedUser) => "of_archived",
        Some(Rule::ApiKeyWithoutExpiry) => "without_expiry",
        Some(Rule::ApiKeyOld) => "ge_365d",
        _ => "expiring",
    };
    vec![("state", state)]
}

fn push(url: &mut Url, segments: &[&str]) {
    // An address without a path, such as mailto:, is refused by the configuration.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
}
