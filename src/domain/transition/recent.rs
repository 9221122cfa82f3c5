//! Events for alerts: users who lost protection and are still without it, recent transitions of users, and weakened enforcement.
//! They are part of the baseline, so they survive restarts and outages of any length.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Baseline, Change, ChangeKind};
use crate::domain::facts::Facts;
use crate::domain::standing::{Standing, Terms};
use crate::domain::vocabulary::{Factor, UserType, vocabulary};
use crate::domain::{IdSet, PerType, Posture};

vocabulary! {
    /// Transitions of users between two polls.
    RecentTransition {
        /// A user, in a role or not, went from a factor to none.
        Disabled = "disabled",
        /// A user in a role went from a factor to none.
        PrivilegedDisabled = "privileged_disabled",
        /// A user became privileged.
        PrivilegeGranted = "privilege_granted",
    }
}

/// Time for which a loss of protection is recent.
const LOSS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Time for which a transition is recent.
const TRANSITION: SignedDuration = SignedDuration::from_hours(3);

/// An enforcement of a shorter time is a trial, and its end weakens nothing.
const TRIAL: SignedDuration = SignedDuration::from_mins(90);

/// Portal users without a factor are in no set that a poll reads, so each poll asks for those who lost theirs. More of them are counted.
const MOST_PORTAL: u64 = 1000;

/// Protected users, and the configuration that decides it.
#[derive(Debug, Clone, PartialEq)]
pub struct Protection {
    /// The accepted factors.
    pub accepted: BTreeSet<Factor>,
    /// Protected users whose ids are known: portal users only if they have a factor themselves. No exempt users.
    pub users: IdSet,
    /// Types that an accepted policy covers.
    pub covered: PerType<bool>,
    /// Eligible users.
    pub eligible: PerType<u64>,
    /// Eligible users who are protected.
    pub protected: PerType<u64>,
    /// Eligible portal users without an accepted factor of their own.
    pub bare_portal: u64,
}

impl Protection {
    /// Protected users; `None` if unknown.
    pub fn of(
        facts: &Facts,
        terms: &Terms,
        standing: &Standing,
        posture: &Posture,
    ) -> Option<Self> {
        let covered = standing.covered.as_ref()?;
        let people = &facts.people;
        let mut users = covered.holders.clone();
        for (user_type, set) in [
            (UserType::Internal, &people.internal),
            (UserType::Public, &people.public),
            (UserType::None, &people.none),
        ] {
            if covered.types[user_type] {
                users |= set;
            }
        }
        users -= &standing.exempt;
        let holders = people.of_type(UserType::Portal, &users).len();
        Some(Self {
            accepted: terms.accepted.clone(),
            users,
            covered: covered.types,
            eligible: posture.eligible,
            protected: posture.protected?,
            bare_portal: posture.eligible[UserType::Portal].saturating_sub(holders),
        })
    }

    fn unprotected(&self, user_type: UserType) -> u64 {
        self.eligible[user_type].saturating_sub(self.protected[user_type])
    }
}

/// Events of a target for alerts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recent {
    /// Users who lost protection and are without it, by when that was found and by their type.
    pub lost: BTreeMap<(Timestamp, UserType), IdSet>,
    /// The same of users who are only counted.
    pub counted: BTreeMap<(Timestamp, UserType), u64>,
    /// Users by what happened to them and when that was found.
    pub transitions: BTreeMap<(Timestamp, RecentTransition), IdSet>,
    /// State of the enforcement for each type.
    pub enforcement: PerType<Enforcement>,
    /// State of the break-glass accounts, once a login of theirs was seen.
    pub break_glass: Option<BreakGlass>,
}

/// State of the break-glass accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// Their last login.
    pub login: Timestamp,
    /// Time at which a poll found that it is later than before.
    pub found: Option<Timestamp>,
}

/// State of the enforcement for one type of user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Enforcement {
    /// Its last change, as far as polls know.
    pub state: Option<Enforced>,
    /// Time at which a poll last found that it was weakened.
    pub weakened: Option<Timestamp>,
}

/// Enforcement of a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// True if it is enforced.
    pub on: bool,
    /// Since when: in the middle between the two polls that saw the change.
    pub since: Timestamp,
    /// The last poll that saw it so.
    pub seen: Timestamp,
}

/// Protection in two polls that can be compared.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Users who were protected and are not, by type.
    pub(super) lost: PerType<IdSet>,
    /// Portal users who lost a policy's protection and are only counted.
    pub(super) portal: u64,
    /// Of the users who lost protection before, those who are still without it.
    pub(super) still: BTreeMap<(Timestamp, UserType), IdSet>,
    /// Number of other users who are newly protected.
    pub(super) enrolled: PerType<u64>,
}

impl Recent {
    /// Eligible users who lost protection recently and are without it.
    pub fn unprotected(&self) -> PerType<u64> {
        PerType::from_fn(|user_type| {
            let lost = self.lost.iter().filter(|((_, it), _)| *it == user_type);
            let counted = self.counted.iter().filter(|((_, it), _)| *it == user_type);
            lost.map(|(_, people)| people.len()).sum::<u64>()
                + counted.map(|(_, count)| count).sum::<u64>()
        })
    }

    /// Users to whom something happened recently.
    pub fn people(&self, kind: RecentTransition) -> IdSet {
        let found = self.transitions.iter().filter(|((_, it), _)| *it == kind);
        found.fold(IdSet::new(), |all, (_, people)| all | people)
    }

    /// Forgets what is no longer recent; false if there is nothing to forget.
    pub fn forget(&mut self, now: Timestamp) -> bool {
        let within = |at: Timestamp, age| now.duration_since(at) < age;
        let parts = (self.lost.len(), self.counted.len(), self.transitions.len());
        self.lost.retain(|(at, _), _| within(*at, LOSS));
        self.counted.retain(|(at, _), _| within(*at, LOSS));
        self.transitions
            .retain(|(at, _), _| within(*at, TRANSITION));
        parts != (self.lost.len(), self.counted.len(), self.transitions.len())
    }

    /// Portal users who lost protection, of whom a poll must ask whether they are still there.
    pub(super) fn portal(&self) -> IdSet {
        let portal = self
            .lost
            .iter()
            .filter(|((_, user_type), _)| *user_type == UserType::Portal);
        portal.fold(IdSet::new(), |all, (_, people)| all | people)
    }

    /// As the first of a series: only the enforcement and the last login are known.
    pub(super) fn begin(current: &Baseline) -> Self {
        let mut recent = Self::default();
        recent.enforce(current);
        recent.log_in(current);
        recent
    }

    /// After a break of the same database: a backup was restored, and ids may belong to others. The net loss of protected users enters.
    pub(super) fn after_break(previous: &Baseline, current: &Baseline) -> Self {
        let mut recent = Self {
            enforcement: previous.recent.enforcement,
            break_glass: previous.recent.break_glass,
            counted: previous.recent.counted.clone(),
            ..Self::default()
        };
        recent.enforce(current);
        recent.log_in(current);
        for ((at, user_type), people) in &previous.recent.lost {
            *recent.counted.entry((*at, *user_type)).or_default() += people.len();
        }
        recent.forget(current.at);
        if let (Some(before), Some(now)) = (&previous.protection, &current.protection) {
            let (before, now) = (&before.value, &now.value);
            for user_type in UserType::ALL {
                if before.accepted == now.accepted {
                    let (was, is) = (before.protected[*user_type], now.protected[*user_type]);
                    recent.count(current.at, *user_type, was.saturating_sub(is));
                    recent.uncount(*user_type, is.saturating_sub(was));
                }
                recent.cap(*user_type, now);
            }
        }
        recent
    }

    /// As the next one of a series.
    pub(super) fn succeed(
        previous: &Baseline,
        current: &Baseline,
        losses: Option<Losses>,
        changes: &[Change],
    ) -> Self {
        let at = current.at;
        let mut recent = previous.recent.clone();
        recent.enforce(current);
        recent.log_in(current);
        for kind in RecentTransition::ALL {
            let people: IdSet = changes
                .iter()
                .filter(|change| kind.is(change))
                .map(|change| change.person)
                .collect();
            if !people.is_empty() {
                *recent.transitions.entry((seconds(at), *kind)).or_default() |= people;
            }
        }
        if let (Some(losses), Some(now)) = (losses, &current.protection) {
            recent.lost = losses.still;
            for (user_type, people) in losses.lost.iter() {
                if !people.is_empty() {
                    *recent.lost.entry((seconds(at), user_type)).or_default() |= people;
                }
            }
            if recent.portal().len() > MOST_PORTAL {
                recent.count_portal();
            }
            recent.count(at, UserType::Portal, losses.portal);
            for user_type in UserType::ALL {
                recent.uncount(*user_type, losses.enrolled[*user_type]);
                recent.cap(*user_type, &now.value);
            }
        }
        recent.forget(at);
        recent
    }

    /// A break has no transitions.
    pub(super) fn without_transitions(mut self) -> Self {
        self.transitions.clear();
        self
    }

    fn count(&mut self, at: Timestamp, user_type: UserType, people: u64) {
        if people > 0 {
            *self.counted.entry((seconds(at), user_type)).or_default() += people;
        }
    }

    /// Users who are only counted have protection again: the ones of the oldest loss.
    fn uncount(&mut self, user_type: UserType, mut people: u64) {
        for ((_, it), count) in &mut self.counted {
            if *it == user_type {
                let fewer = people.min(*count);
                *count -= fewer;
                people -= fewer;
            }
        }
        self.counted.retain(|_, count| *count > 0);
    }

    /// There are no more of them than unprotected users.
    fn cap(&mut self, user_type: UserType, now: &Protection) {
        let all = self.unprotected()[user_type];
        self.uncount(user_type, all.saturating_sub(now.unprotected(user_type)));
    }

    /// Portal users whom polls asked for by id are counted from now on.
    fn count_portal(&mut self) {
        for ((at, user_type), people) in std::mem::take(&mut self.lost) {
            if user_type == UserType::Portal {
                self.count(at, user_type, people.len());
            } else {
                self.lost.insert((at, user_type), people);
            }
        }
    }

    fn log_in(&mut self, current: &Baseline) {
        let Some(login) = current.break_glass.map(seconds) else {
            return;
        };
        let known = self.break_glass;
        let found = known.filter(|known| login > known.login);
        self.break_glass = Some(BreakGlass {
            login,
            found: match found {
                Some(_) => Some(seconds(current.at)),
                None => known.and_then(|known| known.found),
            },
        });
    }

    fn enforce(&mut self, current: &Baseline) {
        let Some(enforced) = current.enforced else {
            return;
        };
        let now = seconds(current.at);
        for (user_type, on) in enforced.iter() {
            let known = &mut self.enforcement.0[user_type as usize];
            let changed = |before: &Enforced| {
                let unknown = now.duration_since(before.seen) / 2;
                before.seen.checked_add(unknown).unwrap_or(now)
            };
            let since = match &known.state {
                None => now,
                Some(before) if before.on == *on => before.since,
                Some(before) => {
                    let end = changed(before);
                    if before.on && end.duration_since(before.since) >= TRIAL {
                        known.weakened = Some(now);
                    }
                    end
                }
            };
            known.state = Some(Enforced {
                on: *on,
                since: seconds(since),
                seen: now,
            });
        }
    }
}

impl RecentTransition {
    fn is(self, change: &Change) -> bool {
        match self {
            Self::Disabled => change.kind == ChangeKind::MfaDisabled,
            Self::PrivilegedDisabled => change.kind == ChangeKind::MfaDisabled && change.privileged,
            Self::PrivilegeGranted => change.kind == ChangeKind::PrivilegeGranted,
        }
    }
}

/// A time as the store keeps it.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
