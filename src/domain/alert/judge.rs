//! Conditions of the rules, target by target.

use std::borrow::Cow;
use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::{Concern, Rule, Severity};
use crate::domain::finding::ADMIN_ROLES;
use crate::domain::health::{PAST, Past};
use crate::domain::posture::{Bypasses, Keys, Posture, Privileged};
use crate::domain::surface::Exposure;
use crate::domain::transition::RecentTransition;
use crate::domain::{Bypass, ExemptReason, Reason, TargetSnapshot};

/// Polls must fail for at least this time.
const DOWN: SignedDuration = SignedDuration::from_mins(15);

/// A label that is the case's own.
pub(super) type Label = (&'static str, Cow<'static, str>);

/// Result of a rule for a target.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Active alerts.
    pub cases: Vec<Case>,
    /// Labels of alerts whose facts are unknown, if the others are known.
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
    /// The severity, if it is not the rule's.
    pub severity: Option<Severity>,
    pub before_after: Option<(String, String)>,
    pub concern: Option<Concern>,
}

/// Input of a condition.
pub(super) struct Judge<'a> {
    pub target: &'a TargetSnapshot,
    pub threshold: f64,
    pub now: Timestamp,
    /// Returns true if the alert of this rule with these labels fires already.
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

    fn label(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
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
        let snapshot = self.target;
        match rule {
            Rule::TargetDown => self.down(),
            Rule::TargetUnstable => self.unstable(),
            Rule::TargetStale => self.stale(),
            Rule::CapabilityMissing => self.missing(),
            Rule::EndpointExposed => self.exposed(),
            // It stays while polls fail: it may be why they do.
            Rule::PollerKeyExpiring => match snapshot.poller_key_expiry {
                Some(end) => Verdict::of(self.poller_key(end)),
                None if snapshot.posture.is_none() => Verdict::unknown(),
                None => Verdict::default(),
            },
            Rule::PrivilegedDisabled => self.recent(
                RecentTransition::PrivilegedDisabled,
                Concern::PrivilegedDisabled,
            ),
            Rule::Disabled => self.disabled(),
            Rule::NewPrivilegedPerson => {
                self.recent(RecentTransition::PrivilegeGranted, Concern::NewlyPrivileged)
            }
            _ => match &snapshot.posture {
                None => Verdict::unknown(),
                Some(posture) => match self.judge_posture(rule, posture) {
                    Some(cases) => Verdict::of(cases),
                    // A capability that was lost may come back; one that is accepted as missing, or never existed, is no alert.
                    None if snapshot.missing_capabilities().next().is_some() => Verdict::unknown(),
                    None => Verdict::default(),
                },
            },
        }
    }

    /// `None`: unknown.
    #[expect(clippy::too_many_lines, reason = "one part for each rule")]
    fn judge_posture(&self, rule: Rule, posture: &Posture) -> Option<Vec<Case>> {
        let privileged = posture.privileged.as_ref();
        let keys = posture.keys.as_ref();
        Some(match rule {
            Rule::AdminWithoutMfa => {
                let exposed = past_grace(privileged?, true)?;
                // Users in settings are in access_rights too: the larger number is that of all.
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
                    let case = Case::new(self.enough(count)?).label("role", role.to_owned());
                    Some(case.concern(Concern::Role(role.to_owned())))
                })
                .collect(),
            Rule::ExemptPrivileged => {
                let exempt = ExemptReason::ALL.iter().zip(privileged?.exempt);
                exempt
                    // Its use is an alert of its own.
                    .filter(|(reason, _)| **reason != ExemptReason::BreakGlass)
                    .filter_map(|(reason, count)| {
                        let case = Case::new(self.enough(count)?);
                        let case = case.label("reason", reason.as_str());
                        Some(case.concern(Concern::Exempt(*reason)))
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
            Rule::ProtectedDropped => self.losses(posture)?,
            Rule::CoverageBelowTarget => self.below_target(posture)?,
            Rule::EnforcementWeakened => self.weakened(posture)?,
            Rule::BypassPresent => {
                let present = posture.bypasses?;
                let accepted = &self.target.identity.accept_bypasses;
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
            Rule::BreakGlassUsed => self.break_glass(posture),
            Rule::ApiKeyExpiring => self.keys(keys?, Concern::ExpiringKeys, |keys| {
                let own = self.target.poller_key_expiry.is_some_and(|end| {
                    end.duration_since(self.now) < SignedDuration::from_hours(7 * 24)
                });
                Some(keys.expiring[0].saturating_sub(u64::from(own)))
            })?,
            Rule::ApiKeyOfArchivedUser => self.keys(keys?, Concern::KeysOfArchived, |keys| {
                Some(keys.of_archived)
            })?,
            Rule::ApiKeyOld => self.keys(keys?, Concern::OldKeys, |keys| Some(keys.by_age[3]))?,
            Rule::ApiKeyWithoutExpiry => {
                let release = self.target.server.as_ref()?.release;
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

    /// Users to whom something happened lately.
    fn recent(&self, kind: RecentTransition, concern: Concern) -> Verdict {
        let Some(recent) = &self.target.recent else {
            return Verdict::unknown();
        };
        let count = recent.people(kind).len();
        let case = self.enough(count);
        Verdict::of(case.map(|count| Case::new(count).concern(concern)))
    }

    /// As many as one in a thousand of the enrolled, where there are so many: users get new phones.
    fn disabled(&self) -> Verdict {
        let mut verdict = self.recent(RecentTransition::Disabled, Concern::Disabled);
        let enrolled = |posture: &Posture| {
            let methods = [posture.totp, posture.passkey];
            methods.iter().flatten().flat_map(|it| it.0).sum::<u64>()
        };
        let enrolled = self.target.posture.as_deref().map_or(0, enrolled);
        verdict
            .cases
            .retain(|case| case.value >= 0.001 * enrolled as f64);
        verdict
    }

    /// Polls have failed for a quarter of an hour, and twice in a row unless the key was refused, which polls try rarely.
    fn down(&self) -> Verdict {
        let failing = match self.target.up() {
            None => return Verdict::unknown(),
            Some(true) => return Verdict::default(),
            Some(false) => self.target.health.failing(),
        };
        let refused = self.target.failing() == Some(Reason::Auth);
        let long = failing.is_some_and(|(since, polls)| {
            (polls >= 2 || refused) && self.now.duration_since(since) >= DOWN
        });
        // An alert that fires does not end by a restart.
        if long {
            Verdict::of([Case::new(0.0)])
        } else {
            Verdict::unknown()
        }
    }

    /// Polls that alternate between failure and success.
    fn unstable(&self) -> Verdict {
        let past = &self.target.health.past;
        let up = |poll: &Past| poll.failure.is_none();
        let failed = past.iter().filter(|poll| !up(poll)).count();
        let turns = past.iter().zip(past.iter().skip(1));
        let turns = turns.filter(|(one, next)| up(one) != up(next)).count();
        if failed as f64 >= self.threshold && failed * 3 >= past.len() && turns >= 4 {
            return Verdict::of([Case::new(failed as f64)]);
        }
        self.known_since(PAST)
    }

    /// Capabilities that were missing for a third of the last hour, and within the last half hour.
    fn missing(&self) -> Verdict {
        let snapshot = self.target;
        if snapshot.capabilities.is_empty() {
            return Verdict::unknown();
        }
        let past = &snapshot.health.past;
        let mut verdict = Verdict::default();
        for (capability, gap) in snapshot.capabilities.iter() {
            if snapshot.identity.accept_missing.contains(capability) {
                continue;
            }
            let labels = || vec![("capability", capability.as_str().into())];
            let seen = Seen::of(past, *capability as u16, self.now);
            if seen.mostly() {
                verdict.cases.push(Case::plain(0.0, labels()));
            } else if gap.is_some() || !seen.whole {
                verdict.unknown.push(labels());
            }
        }
        verdict
    }

    /// Nothing is wrong, if that is known for this time.
    fn known_since(&self, time: SignedDuration) -> Verdict {
        let first = self.target.health.past.front();
        let long = first.is_some_and(|first| self.now.duration_since(first.at) >= time / 2);
        if long {
            Verdict::default()
        } else {
            Verdict::unknown()
        }
    }

    fn stale(&self) -> Verdict {
        let snapshot = self.target;
        let Some(last) = snapshot.health.last_success else {
            return Verdict::unknown();
        };
        let age = self.now.duration_since(last).as_secs_f64();
        let stale = age > self.threshold * snapshot.identity.interval;
        Verdict::of(stale.then(|| Case::new(age)))
    }

    fn exposed(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let snapshot = self.target;
        for checked in snapshot.surface.iter() {
            for (endpoint, seen) in &checked.endpoints {
                if !checked.expect_blocked.contains(endpoint) {
                    continue;
                }
                let case = Case::new(1.0)
                    .label("vantage", checked.vantage.as_str().to_owned())
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

    /// Types that lost as many users as counts: two in a hundred of the eligible, and never fewer than the threshold.
    fn losses(&self, posture: &Posture) -> Option<Vec<Case>> {
        let protected = posture.protected?;
        let lost = self.target.recently_unprotected?;
        let cases = lost.iter().filter_map(|(user_type, lost)| {
            let (now, eligible) = (protected[user_type], posture.eligible[user_type]);
            let enough = self.enough(*lost)?;
            (enough >= 0.02 * eligible as f64).then(|| Case {
                before_after: Some((
                    format!("{} protected", now + lost),
                    format!("{now} of {eligible} protected"),
                )),
                ..Case::new(enough).label("user_type", user_type.as_str())
            })
        });
        Some(cases.collect())
    }

    /// A login within a day, or one that was found within the last hour, however old it is.
    fn break_glass(&self, posture: &Posture) -> Vec<Case> {
        let Some(login) = posture.break_glass_login else {
            return Vec::new();
        };
        let age = self.now.duration_since(login).as_secs_f64();
        let known = self.target.recent.as_ref().and_then(|it| it.break_glass);
        let found = known.and_then(|known| known.found);
        let lately = |at: Timestamp| self.now.duration_since(at) < SignedDuration::from_hours(1);
        let used = age < self.threshold * 3600.0 || found.is_some_and(lately);
        let case = || Case::new(age).concern(Concern::BreakGlass);
        used.then(case).into_iter().collect()
    }

    /// Enforcement that was weakened within a day and is still missing. The event is known over an outage; the current state is not.
    fn weakened(&self, posture: &Posture) -> Option<Vec<Case>> {
        let covers = posture.enforcement.as_ref()?.covers;
        let known = self.target.recent.as_ref()?.enforcement;
        let lost: Vec<_> = known
            .iter()
            .filter(|(user_type, known)| {
                let lately =
                    |at: Timestamp| self.now.duration_since(at) < SignedDuration::from_hours(24);
                known.weakened.is_some_and(lately) && !covers[*user_type]
            })
            .map(|(user_type, _)| user_type.as_str())
            .collect();
        let case = || Case {
            before_after: Some((
                format!("enforced for {}", lost.join(", ")),
                "not enforced for them".into(),
            )),
            ..Case::new(lost.len() as f64)
        };
        Some((!lost.is_empty()).then(case).into_iter().collect())
    }

    fn below_target(&self, posture: &Posture) -> Option<Vec<Case>> {
        let protected = posture.protected?;
        let wanted = self.target.identity.coverage_target;
        let cases = wanted.iter().filter_map(|(user_type, wanted)| {
            let grace = posture.grace.map_or(0, |grace| grace[user_type]);
            // Users in their grace period have yet to enroll.
            let counted = posture.eligible[user_type].saturating_sub(grace);
            let wanted = (*wanted)?;
            if counted == 0 || (counted as f64) < self.threshold {
                return None;
            }
            let coverage = protected[user_type] as f64 / counted as f64;
            let case = Case::new(coverage).label("user_type", user_type.as_str());
            // Once firing it resolves 3 points above the coverage target, not at the first user who enrolls.
            let margin = if (self.firing)(&case.labels) {
                ((1.0 - wanted) / 2.0).min(0.03)
            } else {
                0.0
            };
            (coverage < wanted + margin).then_some(case)
        });
        Some(cases.collect())
    }

    /// The ticket of 14 days stays when the page of two days starts: it must not close because it got worse.
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

/// For how long a capability was missing.
struct Seen {
    missing: SignedDuration,
    known: SignedDuration,
    /// Within the last half hour.
    lately: bool,
    /// Returns true if enough is known to decide that it is active.
    whole: bool,
}

impl Seen {
    fn of(past: &VecDeque<Past>, capability: u16, now: Timestamp) -> Self {
        let (hour, half) = (SignedDuration::from_hours(1), SignedDuration::from_mins(30));
        let ago = |at: Timestamp| now.duration_since(at).clamp(SignedDuration::ZERO, hour);
        let mut seen = Self {
            missing: SignedDuration::ZERO,
            known: past
                .front()
                .map_or(SignedDuration::ZERO, |first| ago(first.at)),
            lately: false,
            whole: past.front().is_some_and(|first| ago(first.at) >= half),
        };
        let ends = past.iter().skip(1).map(|poll| poll.at).chain([now]);
        for (poll, end) in past.iter().zip(ends) {
            if poll.missing >> capability & 1 == 1 {
                seen.missing += ago(poll.at) - ago(end);
                seen.lately |= ago(end) < half;
            }
        }
        seen
    }

    fn mostly(&self) -> bool {
        self.missing * 3 >= self.known && self.lately
    }
}

/// Roles of administrators, or the others, with their unprotected and overdue users; `None` if unknown.
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
