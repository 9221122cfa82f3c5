//! `/runbooks/NAME`: the runbook of an alert, as text. Alerts link there where the exporter knows its own address.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

macro_rules! runbooks {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../docs/runbooks/", $name, ".md")))),+]
    };
}

/// Each alert with its page.
static RUNBOOKS: &[(&str, &str)] = runbooks![
    "OdooMfaAdminLockoutRisk",
    "OdooMfaAdminWithoutMfa",
    "OdooMfaApiKeyExpiring",
    "OdooMfaApiKeyOfArchivedUser",
    "OdooMfaApiKeyOld",
    "OdooMfaApiKeyWithoutExpiry",
    "OdooMfaBreakGlassUsed",
    "OdooMfaBypassPresent",
    "OdooMfaCapabilityMissing",
    "OdooMfaConfigReloadFailed",
    "OdooMfaCoverageBelowTarget",
    "OdooMfaDisabled",
    "OdooMfaEndpointExposed",
    "OdooMfaEnforcementWeakened",
    "OdooMfaExemptPrivileged",
    "OdooMfaExemptionStale",
    "OdooMfaExporterDown",
    "OdooMfaFleetBlind",
    "OdooMfaNewPrivilegedPerson",
    "OdooMfaNotificationsFailing",
    "OdooMfaPollerKeyExpiring",
    "OdooMfaPrivilegedDisabled",
    "OdooMfaPrivilegedWithoutMfa",
    "OdooMfaProtectedDropped",
    "OdooMfaShardMismatch",
    "OdooMfaStoreFailing",
    "OdooMfaTargetDown",
    "OdooMfaTargetStale",
    "OdooMfaTargetUnstable",
    "OdooMfaTargetVanished",
    "OdooMfaWatchdog",
    "OdooMfaWebConfigRejected",
    "OdooMfaWellKnownAccountActive",
];

/// The runbook of this name.
pub(super) async fn runbook(Path(name): Path<String>) -> Response {
    match RUNBOOKS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => text.into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "unknown runbook: use the name of an alert\n",
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::RUNBOOKS;

    #[test]
    fn there_is_one_for_each_page_of_the_documentation() {
        let pages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks"));
        let pages = pages.expect("the pages").map(|page| {
            let name = page.expect("a page").file_name();
            name.to_string_lossy().trim_end_matches(".md").to_owned()
        });
        let mut pages: Vec<String> = pages.filter(|name| name.starts_with("OdooMfa")).collect();
        pages.sort_unstable();
        let ours: Vec<&str> = RUNBOOKS.iter().map(|(name, _)| *name).collect();
        assert_eq!(ours, pages);
    }
}
