//! The closed set of rules, with their severities, times and thresholds.

use crate::domain::vocabulary::vocabulary;

vocabulary! {
    /// A rule that the daemon evaluates. Its word is the label `alertname`.
    Rule {
        /// A user in `settings` or `access_rights` is unprotected and overdue.
        AdminWithoutMfa = "OdooMfaAdminWithoutMfa",
        /// A user in another role is unprotected and overdue.
        PrivilegedWithoutMfa = "OdooMfaPrivilegedWithoutMfa",
        /// A user in a role lost the second factor.
        PrivilegedDisabled = "OdooMfaPrivilegedDisabled",
        /// Several users went from a factor to none within three hours.
        Disabled = "OdooMfaDisabled",
        /// Users lost protection within seven days and are without it.
        ProtectedDropped = "OdooMfaProtectedDropped",
        /// Coverage is below the wanted one.
        CoverageBelowTarget = "OdooMfaCoverageBelowTarget",
        /// A user became privileged.
        NewPrivilegedPerson = "OdooMfaNewPrivilegedPerson",
        /// Exactly one user is in `settings`, and that user is protected.
        AdminLockoutRisk = "OdooMfaAdminLockoutRisk",
        /// A second factor is no longer enforced for a type of user.
        EnforcementWeakened = "OdooMfaEnforcementWeakened",
        /// A bypass that the configuration does not accept.
        BypassPresent = "OdooMfaBypassPresent",
        /// A vantage point reaches an endpoint that must be blocked.
        EndpointExposed = "OdooMfaEndpointExposed",
        /// An exemption expired or matches no user.
        ExemptionStale = "OdooMfaExemptionStale",
        /// An exempt user is in a role.
        ExemptPrivileged = "OdooMfaExemptPrivileged",
        /// An account that Odoo or a website uses for no user can act as one.
        WellKnownAccountActive = "OdooMfaWellKnownAccountActive",
        /// A break-glass account logged in.
        BreakGlassUsed = "OdooMfaBreakGlassUsed",
        /// Unexpired keys of archived users.
        ApiKeyOfArchivedUser = "OdooMfaApiKeyOfArchivedUser",
        /// Privileged users' keys without an expiry, from 18 on.
        ApiKeyWithoutExpiry = "OdooMfaApiKeyWithoutExpiry",
        /// Active API keys of 365 days and older.
        ApiKeyOld = "OdooMfaApiKeyOld",
        /// Active keys other than the poller's expire soon.
        ApiKeyExpiring = "OdooMfaApiKeyExpiring",
        /// The polling account's own API key expires soon.
        PollerKeyExpiring = "OdooMfaPollerKeyExpiring",
        /// Something cannot be seen completely, and the configuration does not accept that.
        CapabilityMissing = "OdooMfaCapabilityMissing",
        /// Polls fail.
        TargetDown = "OdooMfaTargetDown",
        /// Polls alternate between failure and success.
        TargetUnstable = "OdooMfaTargetUnstable",
        /// No poll has succeeded for some intervals.
        TargetStale = "OdooMfaTargetStale",
        /// Polls of most targets fail.
        FleetBlind = "OdooMfaFleetBlind",
        /// The last reload of the configuration failed.
        ConfigReloadFailed = "OdooMfaConfigReloadFailed",
        /// The last reload of the web configuration failed.
        WebConfigRejected = "OdooMfaWebConfigRejected",
        /// Alerts cannot be delivered to a receiver.
        NotificationsFailing = "OdooMfaNotificationsFailing",
        /// The store cannot be used.
        StoreFailing = "OdooMfaStoreFailing",
        /// Always active.
        Watchdog = "OdooMfaWatchdog",
    }
}

vocabulary! {
    /// Severity of an alert.
    Severity {
        /// Pages.
        Critical = "critical",
        /// A ticket.
        Warning = "warning",
        /// For the log.
        Info = "info",
        /// For routing only.
        None = "none",
    }
}

/// The number that a rule compares with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Unless the configuration says otherwise.
    pub default: f64,
    /// Description of the rule, for readers.
    pub meaning: &'static str,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

impl Rule {
    /// Severity of its alerts, and the number of seconds that it must hold, unless the configuration changes them.
    pub(super) fn standard(self) -> (Severity, u64) {
        use Severity::{Critical, Info, None, Warning};
        match self {
            Self::AdminWithoutMfa | Self::EnforcementWeakened | Self::FleetBlind => {
                (Critical, 15 * MINUTE)
            }
            Self::EndpointExposed => (Critical, 10 * MINUTE),
            Self::BreakGlassUsed => (Critical, 0),
            Self::PrivilegedWithoutMfa
            | Self::AdminLockoutRisk
            | Self::ExemptionStale
            | Self::ExemptPrivileged
            | Self::ApiKeyOfArchivedUser => (Warning, HOUR),
            Self::CoverageBelowTarget | Self::CapabilityMissing => (Warning, 30 * MINUTE),
            Self::ProtectedDropped
            | Self::BypassPresent
            | Self::WellKnownAccountActive
            | Self::ConfigReloadFailed
            | Self::WebConfigRejected
            | Self::NotificationsFailing
            | Self::StoreFailing => (Warning, 15 * MINUTE),
            Self::TargetStale => (Warning, 5 * MINUTE),
            // The time that polls must fail depends on the interval.
            Self::PrivilegedDisabled
            | Self::Disabled
            | Self::PollerKeyExpiring
            | Self::TargetDown
            | Self::TargetUnstable => (Warning, 0),
            Self::NewPrivilegedPerson => (Info, 0),
            Self::ApiKeyExpiring => (Info, HOUR),
            Self::ApiKeyWithoutExpiry | Self::ApiKeyOld => (Info, DAY),
            Self::Watchdog => (None, 0),
        }
    }

    /// The severity, unless the configuration or the rule itself says otherwise.
    pub fn severity(self) -> Severity {
        self.standard().0
    }

    /// The number that it compares with, where there is one to tune.
    pub fn threshold(self) -> Option<Threshold> {
        let (default, meaning) = match self {
            Self::AdminWithoutMfa
            | Self::PrivilegedWithoutMfa
            | Self::PrivilegedDisabled
            | Self::NewPrivilegedPerson
            | Self::ExemptPrivileged => (1.0, "users, at least"),
            Self::WellKnownAccountActive => (1.0, "accounts, at least"),
            Self::Disabled => (
                3.0,
                "users within 3 hours, at least (and 0.1% of the enrolled)",
            ),
            Self::ProtectedDropped => (
                3.0,
                "users without the protection they had, at least (and 2% of the eligible)",
            ),
            Self::CoverageBelowTarget => (20.0, "eligible users past their grace period, at least"),
            Self::ExemptionStale => (1.0, "exemptions, at least"),
            Self::ApiKeyOfArchivedUser
            | Self::ApiKeyWithoutExpiry
            | Self::ApiKeyOld
            | Self::ApiKeyExpiring => (1.0, "keys, at least"),
            Self::BreakGlassUsed => (24.0, "hours since the login, fewer than"),
            Self::PollerKeyExpiring => (14.0, "days left, fewer than"),
            Self::TargetStale => (2.5, "intervals, more than"),
            Self::FleetBlind => (0.5, "share of targets down, more than"),
            Self::TargetUnstable => (3.0, "failed polls within 6 hours, at least"),
            Self::StoreFailing => (2.0, "errors within 150 minutes, at least"),
            Self::AdminLockoutRisk
            | Self::EnforcementWeakened
            | Self::BypassPresent
            | Self::EndpointExposed
            | Self::CapabilityMissing
            | Self::TargetDown
            | Self::ConfigReloadFailed
            | Self::WebConfigRejected
            | Self::NotificationsFailing
            | Self::Watchdog => return None,
        };
        Some(Threshold { default, meaning })
    }

    /// Returns true if its alerts are about a target.
    pub fn is_of_targets(self) -> bool {
        !matches!(
            self,
            Self::FleetBlind
                | Self::ConfigReloadFailed
                | Self::WebConfigRejected
                | Self::NotificationsFailing
                | Self::StoreFailing
                | Self::Watchdog
        )
    }

    /// Returns true if its alerts are about users who can be named.
    pub fn concerns_people(self) -> bool {
        matches!(
            self,
            Self::AdminWithoutMfa
                | Self::PrivilegedWithoutMfa
                | Self::PrivilegedDisabled
                | Self::Disabled
                | Self::NewPrivilegedPerson
                | Self::AdminLockoutRisk
                | Self::ExemptPrivileged
                | Self::WellKnownAccountActive
                | Self::BreakGlassUsed
                | Self::ApiKeyOfArchivedUser
                | Self::ApiKeyWithoutExpiry
                | Self::ApiKeyOld
                | Self::ApiKeyExpiring
        )
    }
}
