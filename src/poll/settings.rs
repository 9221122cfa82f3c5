//! The part of a configuration that concerns the polls of one target.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::config::contract::FAMILIES;
use crate::config::{Config, Metrics, Target};
use crate::domain::role::Roles;
use crate::domain::snapshot::Identity;
use crate::domain::{Factor, PerType};
use crate::odoo::plan::Parts;

/// All of a configuration that polls of one target depend on.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) target: Arc<Target>,
    pub(super) roles: Arc<Roles>,
    pub(super) parts: Parts,
    /// True to record the affected users of alerts.
    pub(super) named: bool,
    /// True if the change log may contain logins.
    pub(super) logins: bool,
}

impl Settings {
    pub(super) fn new(config: &Config, roles: &Arc<Roles>, target: &Arc<Target>) -> Self {
        Self {
            target: Arc::clone(target),
            roles: Arc::clone(roles),
            parts: parts(&config.metrics, target),
            named: config.privacy.names_in_alerts,
            logins: config.privacy.store_logins,
        }
    }

    /// Returns true if figures mean the same under both.
    pub(super) fn means(&self, other: &Self) -> bool {
        self.target.fingerprint == other.target.fingerprint
    }

    /// Returns true if the server is the same for both, and so is its state. A fingerprint contains no secrets.
    pub(super) fn reaches(&self, other: &Self) -> bool {
        let (this, other) = (&self.target, &other.target);
        let key = |target: &Target| target.api_key.current().expose_secret().to_owned();
        this.fingerprint == other.fingerprint
            && key(this) == key(other)
            && this.tls == other.tls
            && this.proxy == other.proxy
            && this.surface == other.surface
    }

    /// The part that series repeat.
    pub(super) fn identity(&self) -> Identity {
        identity(&self.target)
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let rest = |it: &Self| (it.parts, it.named, it.logins);
        self.reaches(other) && rest(self) == rest(other)
    }
}

/// The part of a target's configuration that series repeat.
fn identity(target: &Target) -> Identity {
    Identity {
        name: target.name.clone(),
        labels: target.labels.clone(),
        url: target.url.as_str().trim_end_matches('/').to_owned(),
        database: target.database.clone(),
        interval: target.interval.as_secs_f64(),
        accepted: target.accepted_factors.iter().copied().collect(),
        coverage_target: PerType::from_fn(|user_type| {
            target.coverage_target.get(&user_type).copied()
        }),
        accept_missing: target.accept_missing.iter().copied().collect(),
        accept_bypasses: target.accept_bypasses.iter().copied().collect(),
        expect_blocked: target
            .surface
            .iter()
            .flat_map(|surface| &surface.vantages)
            .flat_map(|vantage| {
                vantage
                    .expect_blocked
                    .iter()
                    .map(|endpoint| (vantage.name.clone(), *endpoint))
            })
            .collect(),
    }
}

/// The parts of a poll that some exported family, or an accepted factor, needs. Families say by their names what they are about.
fn parts(metrics: &Metrics, target: &Target) -> Parts {
    let any = |words: &[&str]| {
        let about = |family: &&&str| words.iter().any(|word| family.contains(word));
        FAMILIES
            .iter()
            .filter(about)
            .any(|family| metrics.is_enabled(family))
    };
    Parts {
        keys: any(&["_api_key", "_poller_key"]),
        devices: any(&["_trusted_device"]),
        logins: any(&["_dormant_", "_break_glass_"]),
        sso: any(&["_sso_"]) || target.accepted_factors.contains(&Factor::Sso),
        roles: any(&["_role_", "privilege", "_admins_"]),
    }
}
