//! Who is what: exempt, protected, privileged, as sets of people that follow from the facts under a configuration.

use std::collections::BTreeSet;

use jiff::{civil::Date, tz::TimeZone};

use super::exemption::Exemption;
use super::facts::Facts;
use super::vocabulary::{ExemptReason, Factor, PolicyScope, UserType};
use super::{IdSet, PerType};

/// What the configuration says that the numbers depend on.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What counts as a second factor.
    pub accepted: &'a BTreeSet<Factor>,
    /// Who is exempt, in the order in which [`Facts::exemptions`] answers.
    pub exemptions: &'a [Exemption],
}

/// Who is what, as sets: what a [`Posture`](super::Posture) counts, and what names are looked up for.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Active people who are exempt, by reason, indexed by [`ExemptReason`]; the sets are disjoint.
    pub exempt_by_reason: [IdSet; ExemptReason::ALL.len()],
    /// Active people who are exempt.
    pub exempt: IdSet,
    /// People with an accepted factor, exempt or not.
    pub covered: Option<Covered>,
    /// Active people in at least one role, exempt or not.
    pub privileged: Option<IdSet>,
}

/// People with an accepted factor: those who hold one, and whole types that a policy covers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Covered {
    /// Active people who hold one themselves.
    pub holders: IdSet,
    /// Types that are covered as a whole.
    pub types: PerType<bool>,
}

impl Standing {
    /// Reads who is what from the facts.
    pub fn of(facts: &Facts, terms: &Terms) -> Self {
        let mut exempt_by_reason = <[IdSet; ExemptReason::ALL.len()]>::default();
        let mut exempt = IdSet::new();
        for (entry, people) in terms.exemptions.iter().zip(&facts.exemptions) {
            if !entry.expired_on(today(facts)) {
                exempt_by_reason[entry.reason as usize] |= people - &exempt;
                exempt |= people;
            }
        }
        Self {
            exempt_by_reason,
            exempt,
            covered: covered(facts, terms.accepted),
            privileged: facts.roles.complete().map(|roles| {
                roles
                    .values()
                    .fold(IdSet::new(), |all, people| all | people)
            }),
        }
    }

    /// Of a set of active people, those who are eligible and unprotected.
    pub fn unprotected_of(&self, facts: &Facts, people: &IdSet) -> Option<IdSet> {
        let covered = self.covered.as_ref()?;
        let rest = people - &self.exempt - &covered.holders;
        Some(covered.without_covered_types(facts, rest))
    }
}

impl Covered {
    /// Takes those out whose whole type is covered.
    pub(super) fn without_covered_types(&self, facts: &Facts, mut people: IdSet) -> IdSet {
        let sets = [
            (UserType::Internal, &facts.people.internal),
            (UserType::Public, &facts.people.public),
            (UserType::None, &facts.people.none),
        ];
        if self.types[UserType::Portal] {
            people &= sets.iter().fold(IdSet::new(), |all, (_, set)| all | *set);
        }
        for (user_type, set) in sets {
            if self.types[user_type] {
                people -= set;
            }
        }
        people
    }
}

/// People with an accepted factor; `None` where one of the accepted factors is not completely known.
fn covered(facts: &Facts, accepted: &BTreeSet<Factor>) -> Option<Covered> {
    let mut covered = Covered::default();
    for factor in accepted {
        match factor {
            Factor::Totp => covered.holders |= facts.totp.complete()?,
            Factor::Passkey => covered.holders |= facts.passkey.complete()?,
            Factor::Sso => {
                covered.holders |= facts.oauth.complete()?;
                covered.holders |= facts.saml.complete()?;
            }
            Factor::EmailPolicy => {
                facts.modules.complete()?;
                covered.types = policy_types(*facts.policy.complete()?);
            }
        }
    }
    Some(covered)
}

/// The types that the e-mail code policy covers.
pub(super) fn policy_types(policy: Option<PolicyScope>) -> PerType<bool> {
    PerType::from_fn(|user_type| match policy {
        None => false,
        Some(PolicyScope::EmployeeRequired) => user_type == UserType::Internal,
        Some(PolicyScope::AllRequired) => true,
    })
}

/// The day of the poll, in UTC.
pub fn today(facts: &Facts) -> Date {
    facts.now.to_zoned(TimeZone::UTC).date()
}
