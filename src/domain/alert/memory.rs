//! What is remembered of a target to compare with: its numbers over a day and a week, and its transitions of the last hour.
//!
//! Bounded: a number for each half hour of the last day, and one for each four hours of the last week, in a [`Ring`]. Within its slot a
//! newer number replaces an older one.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ring::Ring;
use crate::domain::transition::{Change, ChangeKind};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{IdSet, PerType, Posture, UserType};

vocabulary! {
    /// What happened to people between two polls.
    Transition {
        /// Somebody in a role went from a factor to none.
        PrivilegedDisabled = "privileged_disabled",
        /// Somebody, in a role or not, went from a factor to none.
        Disabled = "disabled",
        /// Somebody became privileged.
        PrivilegeGranted = "privilege_granted",
    }
}

/// Transitions of one kind that one poll of a target found.
#[derive(Debug, Clone, PartialEq)]
pub struct Transitions {
    /// The target's name.
    pub target: String,
    /// What happened.
    pub kind: Transition,
    /// To how many people.
    pub count: u64,
    /// To whom, as far as that is known.
    pub people: IdSet,
    /// When the poll that found it ended.
    pub at: Timestamp,
}

impl Transitions {
    /// What of a poll's changes alerts hear of.
    pub fn of(target: &str, changes: &[Change], at: Timestamp) -> Vec<Self> {
        Transition::ALL
            .iter()
            .filter_map(|kind| {
                let changed = changes.iter().filter(|change| kind.is(change));
                let people: IdSet = changed.map(|change| change.person).collect();
                (!people.is_empty()).then(|| Self {
                    target: target.to_owned(),
                    kind: *kind,
                    count: people.len(),
                    people,
                    at,
                })
            })
            .collect()
    }
}

impl Transition {
    fn is(self, change: &Change) -> bool {
        match self {
            Self::PrivilegedDisabled => change.kind == ChangeKind::MfaDisabled && change.privileged,
            Self::Disabled => change.kind == ChangeKind::MfaDisabled,
            Self::PrivilegeGranted => change.kind == ChangeKind::PrivilegeGranted,
        }
    }
}

/// What is remembered of one target.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    types: [TypeMemory; 4],
    enforced: Ring<u8>,
    transitions: VecDeque<Happened>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct TypeMemory {
    day: Ring<Numbers>,
    week: Ring<Week>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Numbers {
    eligible: u32,
    protected: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Week {
    numbers: Numbers,
    /// The largest loss within a day that was seen while the slot lasted.
    loss: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Happened {
    kind: u8,
    count: u64,
    people: Vec<u32>,
    at: Timestamp,
}

const DAY_SLOT: i64 = 30 * 60;
const DAY_SLOTS: u32 = 48;
const WEEK_SLOT: i64 = 4 * 3600;
const WEEK_SLOTS: u32 = 42;

/// How long a transition is recent.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// Recent transitions of one target: more are added to the last one.
const MOST_TRANSITIONS: usize = 256;

impl Memory {
    /// Notes the numbers of a poll. Gives whether a new slot has begun, which is when keeping the memory is worth it.
    pub fn note(&mut self, posture: &Posture, now: Timestamp) -> bool {
        let (day, week) = (slot(now, DAY_SLOT), slot(now, WEEK_SLOT));
        let mut begun = false;
        if let Some(protected) = posture.protected {
            for (user_type, eligible) in posture.eligible.iter() {
                let memory = &mut self.types[user_type as usize];
                if *eligible == 0 && memory.day.is_empty() {
                    continue;
                }
                let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                let numbers = Numbers {
                    eligible: small(*eligible),
                    protected: small(protected[user_type]),
                };
                begun |= memory.day.put(day, DAY_SLOTS, |_| numbers);
                let loss = loss(&memory.day, numbers, |it| *it);
                let loss = small(loss.max(0).unsigned_abs());
                memory.week.put(week, WEEK_SLOTS, |last| Week {
                    numbers,
                    loss: last.map_or(0, |last| last.loss).max(loss),
                });
            }
        }
        if let Some(enforcement) = &posture.enforcement {
            let covered = enforcement.covers.iter().filter(|(_, covers)| **covers);
            let mask = covered.fold(0, |mask, (user_type, _)| mask | 1 << user_type as u8);
            begun |= self.enforced.put(day, DAY_SLOTS, |_| mask);
        }
        begun
    }

    /// Notes transitions.
    pub fn happened(&mut self, transitions: &Transitions) {
        let Transitions {
            kind,
            count,
            people,
            at,
            ..
        } = transitions;
        if self.transitions.len() >= MOST_TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Happened {
            kind: *kind as u8,
            count: *count,
            people: people.iter().collect(),
            at: *at,
        });
    }

    /// Forgets transitions that are no longer recent.
    pub fn forget(&mut self, now: Timestamp) {
        self.transitions
            .retain(|it| now.duration_since(it.at) < RECENT);
    }

    /// How many people went through a transition within the last hour, and who, as far as that is known.
    pub fn recent(&self, kind: Transition, now: Timestamp) -> (u64, IdSet) {
        let recent = self
            .transitions
            .iter()
            .filter(|it| it.kind == kind as u8 && now.duration_since(it.at) < RECENT);
        recent.fold((0, IdSet::new()), |(count, mut people), it| {
            people.extend(it.people.iter().copied());
            (count + it.count, people)
        })
    }

    /// Protected people lost within a day beyond those who left, and how many were protected.
    pub(super) fn day_loss(&self, user_type: UserType, posture: &Posture) -> Option<Loss> {
        let now = Numbers::of(user_type, posture)?;
        let ring = &self.types[user_type as usize].day;
        Some(Loss {
            people: loss(ring, now, |it| *it),
            before: ring.usual(|it| it.protected).unwrap_or(now.protected),
        })
    }

    /// The same within a week, less the part that was lost within a day and was `reported` as such: at least so many people at once.
    pub(super) fn week_loss(
        &self,
        user_type: UserType,
        posture: &Posture,
        reported: f64,
    ) -> Option<Loss> {
        let now = Numbers::of(user_type, posture)?;
        let ring = &self.types[user_type as usize].week;
        let sudden = ring.values().map(|week| week.loss).max().unwrap_or(0);
        let sudden = if f64::from(sudden) >= reported {
            sudden
        } else {
            0
        };
        Some(Loss {
            people: loss(ring, now, |it| it.numbers) - i64::from(sudden),
            before: ring
                .usual(|it| it.numbers.protected)
                .unwrap_or(now.protected),
        })
    }

    /// Which types the policy in force usually covered within the last day.
    pub(super) fn usually_enforced(&self) -> PerType<bool> {
        PerType::from_fn(|user_type| {
            self.enforced
                .usual(|mask| mask >> user_type as u8 & 1)
                .is_some_and(|bit| bit == 1)
        })
    }
}

/// Protected people lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    /// How many more than leavers explain; below 0 where there are more than before.
    pub people: i64,
    /// How many were protected before.
    pub before: u32,
}

impl Numbers {
    fn of(user_type: UserType, posture: &Posture) -> Option<Self> {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Self {
            eligible: small(posture.eligible[user_type]),
            protected: small(posture.protected?[user_type]),
        })
    }
}

/// How many protected people were lost, beyond those who left.
fn loss<T: Copy + PartialEq>(ring: &Ring<T>, now: Numbers, of: impl Fn(&T) -> Numbers) -> i64 {
    let drop =
        |usual: Option<u32>, now: u32| usual.map_or(0, |usual| i64::from(usual) - i64::from(now));
    let protected = drop(ring.usual(|it| of(it).protected), now.protected);
    let eligible = drop(ring.usual(|it| of(it).eligible), now.eligible);
    protected - eligible.max(0)
}

fn slot(now: Timestamp, seconds: i64) -> u32 {
    u32::try_from(now.as_second() / seconds).unwrap_or(0)
}
