//! What each rule says of a target.

use jiff::{SignedDuration, Timestamp};

use super::memory::{Loss, Transition};
use super::{Concern, Rule, Severity, TargetView};
use crate::domain::finding::ADMIN_ROLES;
use crate::domain::posture::{Bypasses, Keys, Posture, Privileged};
use crate::domain::surface::Exposure;
use crate::domain::{Bypass, UserType};

/// A label that is the case's own.
pub(super) type Label = (&'static str, String);

/// What a rule says.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What is wrong.
    pub cases: Vec<Case>,
    /// Labels of what is not known, where the rest is.
    pub unknown: Vec<Vec<Label>>,
    /// Nothing is known.
    pub all_unknown: bool,
}

/// Something that is wrong.
#[derive(Debug)]
pub(super) struct Case {
    /// Beside those of the target.
    pub labels: Vec<Label>,
    pub value: f64,
    /// Where it is not the rule's.
    pub severity: Option<Severity>,
    pub before_after: Option<(String, String)>,
    pub concern: Option<Concern>,
}

/// What a judgement is made from.
pub(super) struct Judge<'a> {
    pub target: &'a TargetView<'a>,
    pub threshold: f64,
    pub now: Timestamp,
    /// Whether the alert of this rule with these labels fires already.
    pub firing: &'a dyn Fn(&[Label]) -> bool,
}

impl Case {
    fn new(value: f64) -> Self {
        Self::plain(value, Vec::new())
    }

    /// With these labels, and nothing to say beside its value.
    pub(super) fn plain(value: f64, labels: Vec<Label>) -> Self {
        Self {
            labels,
            value,
            severity: None,
            before_after: None,
            concern: None,
        }
    }

    fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }

    fn concern(mut self, concern: Concern) -> Self {
        self.concern = Some(concern);
        self
    }
}

impl Verdict {
    fn unknown() -> Self {
        Self {
            all_unknown: true,
            ..Self::default()
        }
    }

    fn of(cases: impl IntoIterator<Item = Case>) -> Self {
        Self {
            cases: cases.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Judge<'_> {
    pub(super) fn judge(&self, rule: Rule) -> Verdict {
        let snapshot = self.target.snapshot;
        match rule {
            Rule::TargetDown => match snapshot.up() {
                None => Verdict::unknown(),
                Some(up) => Verdict::of((!up).then(|| Case::new(0.0))),
            },
            Rule::TargetStale => self.stale(),
            Rule::CapabilityMissing => {
                if snapshot.capabilities.is_empty() {
                    return Verdict::unknown();
                }
                let missing = snapshot.missing_capabilities();
                Verdict::of(missing.map(|it| Case::new(0.0).label("capability", it.as_str())))
            }
            Rule::EndpointExposed => self.exposed(),
            // It stays while polls fail: it may be why they do.
            Rule::PollerKeyExpiring => match snapshot.poller_key_expiry {
                Some(end) => Verdict::of(self.poller_key(end)),
                None if snapshot.posture.is_none() => Verdict::unknown(),
                None => Verdict::default(),
            },
            Rule::PrivilegedDisabled => {
                self.recent(Transition::PrivilegedDisabled, Concern::PrivilegedDisabled)
            }
            Rule::Disabled => self.recent(Transition::Disabled, Concern::Disabled),
            Rule::NewPrivilegedPerson => {
                self.recent(Transition::PrivilegeGranted, Concern::NewlyPrivileged)
            }
            _ => match &snapshot.posture {
                None => Verdict::unknown(),
                Some(posture) => match self.judge_posture(rule, posture) {
                    Some(cases) => Verdict::of(cases),
                    // What somebody took away may come back; what nobody wants to see, or has not, is no alert.
                    None if snapshot.missing_capabilities().next().is_some() => Verdict::unknown(),
                    None => Verdict::default(),
                },
            },
        }
    }

    /// `None`: not known.
    #[expect(clippy::too_many_lines, reason = "one part for each rule")]
    fn judge_posture(&self, rule: Rule, posture: &Posture) -> Option<Vec<Case>> {
        let privileged = posture.privileged.as_ref();
        let keys = posture.keys.as_ref();
        Some(match rule {
            Rule::AdminWithoutMfa => {
                let exposed = past_grace(privileged?, true)?;
                // Whoever is in settings is in access_rights too: the larger number is that of all.
                let most = exposed.into_iter().map(|(_, count)| count).max();
                let case = |count| Case::new(count).concern(Concern::Admins);
                self.enough(most.unwrap_or(0))
                    .map(case)
                    .into_iter()
                    .collect()
            }
            Rule::PrivilegedWithoutMfa => past_grace(privileged?, false)?
                .into_iter()
                .filter_map(|(role, count)| {
                    let case = Case::new(self.enough(count)?).label("role", role);
                    Some(case.concern(Concern::Role(role.to_owned())))
                })
                .collect(),
            Rule::ExemptPrivileged => {
                let roles = privileged?.roles.iter();
                roles
                    .filter_map(|role| {
                        let case = Case::new(self.enough(role.exempt)?);
                        let case = case.label("role", role.name.as_str());
                        Some(case.concern(Concern::Exempt(role.name.clone())))
                    })
                    .collect()
            }
            Rule::WellKnownAccountActive => {
                let privileged = posture.well_known_privileged.unwrap_or(0);
                let (count, severity) = match privileged {
                    0 => (posture.well_known_active, None),
                    _ => (privileged, Some(Severity::Critical)),
                };
                let case = |count| Case {
                    severity,
                    ..Case::new(count).concern(Concern::WellKnown)
                };
                self.enough(count).map(case).into_iter().collect()
            }
            Rule::AdminLockoutRisk => {
                let privileged = privileged?;
                let settings = privileged.roles.iter().find(|role| role.name == "settings");
                let protected = privileged.protected_admins;
                let alone = match settings {
                    // The configuration removes the role.
                    None => false,
                    Some(role) => protected? == 1 && role.people + role.exempt == 1,
                };
                alone
                    .then(|| Case::new(1.0).concern(Concern::LoneAdmin))
                    .into_iter()
                    .collect()
            }
            Rule::ProtectedDropped => {
                posture.protected?;
                self.losses(posture, |user_type, _| {
                    self.target.memory.day_loss(user_type, posture)
                })
            }
            Rule::CoverageEroding => {
                posture.protected?;
                self.losses(posture, |user_type, limit| {
                    self.target.memory.week_loss(user_type, posture, limit)
                })
            }
            Rule::CoverageBelowTarget => self.below_target(posture)?,
            Rule::EnforcementWeakened => {
                let covers = posture.enforcement.as_ref()?.covers;
                let usual = self.target.memory.usually_enforced();
                let lost: Vec<_> = usual
                    .iter()
                    .filter(|(user_type, usual)| **usual && !covers[*user_type])
                    .map(|(user_type, _)| user_type.as_str())
                    .collect();
                let case = || Case {
                    before_after: Some((
                        format!("enforced for {}", lost.join(", ")),
                        "not enforced for them".into(),
                    )),
                    ..Case::new(lost.len() as f64)
                };
                (!lost.is_empty()).then(case).into_iter().collect()
            }
            Rule::BypassPresent => {
                let present = posture.bypasses?;
                let accepted = &self.target.snapshot.identity.accept_bypasses;
                Bypass::ALL
                    .iter()
                    .filter(|bypass| has(present, **bypass) && !accepted.contains(bypass))
                    .map(|bypass| Case::new(1.0).label("mechanism", bypass.as_str()))
                    .collect()
            }
            Rule::ExemptionStale => {
                let exemptions = posture.exemptions;
                let states = [
                    ("expired", exemptions.expired),
                    ("unmatched", exemptions.unmatched),
                ];
                states
                    .into_iter()
                    .filter_map(|(state, count)| {
                        Some(Case::new(self.enough(count)?).label("state", state))
                    })
                    .collect()
            }
            Rule::ApiKeyOfArchivedUser => self.keys(keys?, Concern::KeysOfArchived, |keys| {
                Some(keys.of_archived)
            })?,
            Rule::ApiKeyOld => self.keys(keys?, Concern::OldKeys, |keys| Some(keys.by_age[3]))?,
            Rule::ApiKeyWithoutExpiry => {
                let release = self.target.snapshot.server.as_ref()?.release;
                if release < (18, 0) {
                    return Some(Vec::new());
                }
                self.keys(keys?, Concern::KeysWithoutExpiry, |keys| {
                    keys.of_privileged_without_expiry
                })?
            }
            _ => Vec::new(),
        })
    }

    /// The number, if it is at least the threshold.
    fn enough(&self, count: u64) -> Option<f64> {
        let count = count as f64;
        (count >= self.threshold && count > 0.0).then_some(count)
    }

    fn keys(
        &self,
        keys: &Keys,
        concern: Concern,
        count: impl Fn(&Keys) -> Option<u64>,
    ) -> Option<Vec<Case>> {
        let count = self.enough(count(keys)?);
        let case = count.map(|count| Case::new(count).concern(concern));
        Some(case.into_iter().collect())
    }

    /// Transitions of the last hour; none are found while the target is dark, and none are forgotten before the hour is over.
    fn recent(&self, kind: Transition, concern: Concern) -> Verdict {
        let (count, _) = self.target.memory.recent(kind, self.now);
        let case = self.enough(count);
        Verdict::of(case.map(|count| Case::new(count).concern(concern)))
    }

    fn stale(&self) -> Verdict {
        let snapshot = self.target.snapshot;
        let Some(last) = snapshot.health.last_success else {
            return Verdict::unknown();
        };
        let age = self.now.duration_since(last).as_secs_f64();
        let stale = age > self.threshold * snapshot.identity.interval;
        Verdict::of(stale.then(|| Case::new(age)))
    }

    fn exposed(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let snapshot = self.target.snapshot;
        for checked in snapshot.surface.iter() {
            for (endpoint, seen) in &checked.endpoints {
                if !checked.expect_blocked.contains(endpoint) {
                    continue;
                }
                let case = Case::new(1.0)
                    .label("vantage", checked.vantage.as_str())
                    .label("endpoint", endpoint.as_str());
                match seen.exposure {
                    Exposure::Exposed => verdict.cases.push(case),
                    Exposure::Blocked => {}
                    Exposure::Unknown => verdict.unknown.push(case.labels),
                }
            }
        }
        // Before the first check after a start.
        verdict.all_unknown =
            snapshot.surface.is_empty() && !snapshot.identity.expect_blocked.is_empty();
        verdict
    }

    /// Types that lost as many people as counts: two in a hundred of the eligible, and never fewer than the threshold.
    fn losses(&self, posture: &Posture, loss: impl Fn(UserType, f64) -> Option<Loss>) -> Vec<Case> {
        let mut cases = Vec::new();
        for (user_type, eligible) in posture.eligible.iter() {
            let limit = (0.02 * *eligible as f64).max(self.threshold);
            let Some(loss) = loss(user_type, limit) else {
                continue;
            };
            if loss.people > 0 && loss.people as f64 >= limit {
                let now = posture.protected.map_or(0, |it| it[user_type]);
                cases.push(Case {
                    before_after: Some((
                        format!("{} protected", loss.before),
                        format!("{now} of {eligible} protected"),
                    )),
                    ..Case::new(loss.people as f64).label("user_type", user_type.as_str())
                });
            }
        }
        cases
    }

    fn below_target(&self, posture: &Posture) -> Option<Vec<Case>> {
        let protected = posture.protected?;
        let wanted = self.target.snapshot.identity.coverage_target;
        let cases = wanted.iter().filter_map(|(user_type, wanted)| {
            let (wanted, eligible) = ((*wanted)?, posture.eligible[user_type]);
            if eligible == 0 || (eligible as f64) < self.threshold {
                return None;
            }
            let coverage = protected[user_type] as f64 / eligible as f64;
            let case = Case::new(coverage).label("user_type", user_type.as_str());
            // Once firing it resolves 3 points above the wanted coverage, not at the first person who enrols.
            let margin = if (self.firing)(&case.labels) {
                ((1.0 - wanted) / 2.0).min(0.03)
            } else {
                0.0
            };
            (coverage < wanted + margin).then_some(case)
        });
        Some(cases.collect())
    }

    /// The ticket of a fortnight goes on when the page of two days begins: it must not close because it got worse.
    fn poller_key(&self, end: Timestamp) -> Vec<Case> {
        let left = end.duration_since(self.now);
        let case = || Case::new(left.as_secs_f64());
        let mut cases = Vec::new();
        if left.as_secs_f64() < self.threshold * 86_400.0 {
            cases.push(case());
        }
        if left < SignedDuration::from_hours(48) {
            cases.push(Case {
                severity: Some(Severity::Critical),
                ..case()
            });
        }
        cases
    }
}

/// Roles of administrators, or the others, with their unprotected people past grace; `None` where that is not known.
fn past_grace(privileged: &Privileged, admins: bool) -> Option<Vec<(&str, u64)>> {
    privileged
        .roles
        .iter()
        .filter(|role| ADMIN_ROLES.contains(&role.name.as_str()) == admins)
        .map(|role| Some((role.name.as_str(), role.unprotected_past_grace?)))
        .collect()
}

fn has(bypasses: Bypasses, bypass: Bypass) -> bool {
    match bypass {
        Bypass::TrustedNetwork => bypasses.trusted_network,
        Bypass::MasterPassword => bypasses.master_password,
        Bypass::Impersonation => bypasses.impersonation,
    }
}
