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
        Some(Rule::AdminWithoutMfa) => ("users", vec![("finding", "admin_without_mfa")]),
        Some(Rule::PrivilegedWithoutMfa) => (
            "users",
            vec![("state", "past_grace"), ("role", label("role"))],
        ),
        Some(Rule::ProtectedDropped | Rule::CoverageBelowTarget) => (
            "users",
            vec![("state", "unprotected"), ("user_type", label("user_type"))],
        ),
        Some(Rule::AdminLockoutRisk) => ("users", vec![("state", "active"), ("role", "settings")]),
        Some(Rule::ExemptPrivileged) => (
            "users",
            vec![
                ("state", "exempt"),
                ("role", "any"),
                ("reason", label("reason")),
            ],
        ),
        Some(Rule::BreakGlassUsed) => (
            "users",
            vec![("state", "exempt"), ("reason", "break_glass")],
        ),
        Some(Rule::WellKnownAccountActive) => {
            ("users", vec![("finding", "well_known_account_active")])
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
    if list.is_empty() {
        push(&mut url, &["targets", target]);
        return url;
    }
    push(&mut url, &[list]);
    let filter = std::iter::once(("target", target)).chain(filter);
    url.query_pairs_mut().extend_pairs(filter);
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
