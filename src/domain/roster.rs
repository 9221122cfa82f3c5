//! The users and API keys behind each number.
//!
//! A [`Posture`](super::Posture) counts and a [`Roster`] lists, from the same facts; property tests hold both to the same sizes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::exemption::Exemption;
use super::facts::{ApiKey, Facts, Gap, Known, Scope, UNUSED_DAYS};
use super::finding::ADMIN_ROLES;
use super::posture::{PasswordRpc, password_rpc};
use super::standing::{Covered, Standing, Terms};
use super::vocabulary::{ExemptReason, Factor, UserType, vocabulary};
use super::{IdSet, PerType};

vocabulary! {
    /// The users of a list.
    State {
        /// All active users.
        Active = "active",
        /// Active and not exempt.
        Eligible = "eligible",
        /// Eligible, with an accepted factor.
        Protected = "protected",
        /// Eligible, without one.
        Unprotected = "unprotected",
        /// Unprotected, in an account younger than the grace period.
        Grace = "grace",
        /// Unprotected, in an account older than that.
        PastGrace = "past_grace",
        /// Unprotected, without a login for the dormancy period.
        Dormant = "dormant",
        /// Active and exempt.
        Exempt = "exempt",
        /// Active with TOTP, exempt or not.
        Totp = "totp",
        /// Active with a passkey, exempt or not.
        Passkey = "passkey",
        /// Active and linked to an OAuth provider.
        Oauth = "oauth",
        /// Active and linked to a SAML provider.
        Saml = "saml",
        /// Eligible with exactly one enrolled method.
        SingleFactor = "single_factor",
        /// Active, and the password alone may open RPC.
        PasswordRpc = "password_rpc",
    }
}

vocabulary! {
    /// The API keys of a list. An active key is unexpired and its owner is active.
    KeyState {
        /// Unexpired, of active users.
        Working = "working",
        /// Active, without a scope.
        Unrestricted = "unrestricted",
        /// Active, younger than 30 days.
        Lt30d = "lt_30d",
        /// Active, 30 to 90 days old.
        From30To90d = "30d_90d",
        /// Active, 90 to 365 days old.
        From90To365d = "90d_365d",
        /// Active, at least 365 days old.
        Ge365d = "ge_365d",
        /// Active, without a date.
        WithoutExpiry = "without_expiry",
        /// Active, unused for 30 to 90 days.
        Unused30To90d = "unused_30d_90d",
        /// Active, unused for 90 days or longer.
        UnusedGe90d = "unused_ge_90d",
        /// Active, and ends within 30 days.
        Expiring = "expiring",
        /// Active, of users in a role, exempt or not.
        OfPrivileged = "of_privileged",
        /// Active, of users without an accepted factor, exempt or not.
        OfUnprotected = "of_unprotected",
        /// Unexpired, of archived users: they work again when the owner does.
        OfArchived = "of_archived",
        /// Expired.
        Expired = "expired",
    }
}

/// One poll's facts under the terms that it was counted by.
#[derive(Debug)]
pub struct Roster {
    /// The facts of the poll.
    pub facts: Facts,
    /// Users by state.
    pub standing: Standing,
    accepted: BTreeSet<Factor>,
    exemptions: Vec<Exemption>,
}

/// Users to list: those in any of the states, of any of the types and in any of the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter<'a> {
    /// The states, at least one.
    pub states: &'a [State],
    /// Only users of these types; none means all.
    pub types: &'a [UserType],
    /// Only users in these roles; none means all.
    pub roles: Vec<InRole<'a>>,
    /// Only users exempt for this reason.
    pub reason: Option<ExemptReason>,
}

/// A role, or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InRole<'a> {
    /// In at least one role.
    Any,
    /// In `settings` or `access_rights`, as far as the configuration has these roles: they reach every other right.
    Administrators,
    /// In this one.
    Named(&'a str),
}

/// A set of users of whom portal users, who are many, need not be known by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Users who are known by id.
    pub ids: IdSet,
    /// The exceptions, if all portal users are in the set.
    pub portal_except: Option<IdSet>,
}

/// Why there is no list: it would not be known to be complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    /// The polling account or the Odoo version cannot give it completely.
    #[error("{what} are not completely visible: {}", .gap.seen)]
    Missing {
        /// What.
        what: &'static str,
        /// Why, and what to grant.
        gap: Gap,
    },
    /// No exported family needs it, so that polls do not ask for it.
    #[error("{0} are not read: metrics.disable disables all families that need them")]
    NotAsked(&'static str),
    /// Odoo itself does not record when a key is used.
    #[error("the use of API keys is not recorded, or not for long enough")]
    UseNotNoted,
    /// The configuration has no such role.
    #[error("unknown role '{0}'")]
    NoSuchRole(String),
}

impl Roster {
    /// Keeps what a poll found under the terms that it was counted by.
    pub fn new(facts: Facts, standing: Standing, terms: &Terms) -> Self {
        Self {
            facts,
            standing,
            accepted: terms.accepted.clone(),
            exemptions: terms.exemptions.to_vec(),
        }
    }

    /// The configuration at the time of the poll.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            accepted: &self.accepted,
            exemptions: &self.exemptions,
        }
    }

    /// Returns the users of a list.
    ///
    /// # Errors
    /// If the set is not completely known.
    pub fn people(&self, filter: &Filter) -> Result<Selection, Unlisted> {
        let mut people = Selection::default();
        for state in filter.states {
            people = self.or(people, self.in_state(*state)?);
        }
        self.narrow(people, filter)
    }

    /// Of these, those of the given type, role and reason, regardless of their state.
    ///
    /// # Errors
    /// If the set is not completely known.
    pub fn narrow(&self, mut people: Selection, filter: &Filter) -> Result<Selection, Unlisted> {
        if !filter.roles.is_empty() {
            people = self.and(&people, &self.in_roles(&filter.roles)?);
        }
        if let Some(reason) = filter.reason {
            people = self.and(&people, &self.standing.exempt_by_reason[reason as usize]);
        }
        Ok(match filter.types {
            [] => people,
            types => self.of_types(&people, |user_type| types.contains(&user_type)),
        })
    }

    /// Number of users.
    pub fn count(&self, people: &Selection) -> u64 {
        let portal = people.portal_except.as_ref().map_or(0, |except| {
            self.facts.people.portal.saturating_sub(except.len())
        });
        people.ids.len() + portal
    }

    /// Returns true if the set contains a user whom Odoo says to be active and, if portal users are in the set, either in its `ids` or a
    /// portal user.
    pub fn contains(&self, people: &Selection, person: u32) -> bool {
        people.ids.contains(person)
            || people
                .portal_except
                .as_ref()
                .is_some_and(|except| !except.contains(person) && !self.named().contains(person))
    }

    /// The type of a user; unknown if the user may not have been active.
    pub fn type_of(&self, person: u32, active_now: bool) -> Option<UserType> {
        let known = active_now || self.named().contains(person);
        known.then(|| self.facts.people.type_of(person))
    }

    /// True if an active user has an accepted factor; `None` if unknown.
    pub fn is_covered(&self, person: u32) -> Option<bool> {
        let covered = self.standing.covered.as_ref()?;
        let user_type = self.facts.people.type_of(person);
        Some(covered.holders.contains(person) || covered.types[user_type])
    }

    /// The roles of a user, in the order of their names; none if roles are unknown.
    pub fn roles_of(&self, person: u32) -> Vec<&str> {
        let roles = self.facts.roles.complete().into_iter().flatten();
        roles
            .filter(|(_, people)| people.contains(person))
            .map(|(role, _)| role.as_str())
            .collect()
    }

    /// The reason for which a user is exempt, if any.
    pub fn exempt_reason(&self, person: u32) -> Option<ExemptReason> {
        let by_reason = &self.standing.exempt_by_reason;
        let exempt = |reason: &&ExemptReason| by_reason[**reason as usize].contains(person);
        ExemptReason::ALL.iter().find(exempt).copied()
    }

    /// The API keys in any of the states whose owner is in any of the roles, in the order of their ids. No roles: all owners.
    ///
    /// # Errors
    /// If the users are not completely known.
    pub fn keys_among(
        &self,
        states: &[KeyState],
        roles: &[InRole],
    ) -> Result<Vec<&ApiKey>, Unlisted> {
        let mut keys = BTreeMap::new();
        for state in states {
            keys.extend(self.keys(*state)?.into_iter().map(|key| (key.id, key)));
        }
        if !roles.is_empty() {
            let owners = self.in_roles(roles)?;
            keys.retain(|_, key| owners.contains(key.owner));
        }
        Ok(keys.into_values().collect())
    }

    /// The API keys in a state, in the order of their ids.
    ///
    /// # Errors
    /// If they are not completely known.
    pub fn keys(&self, state: KeyState) -> Result<Vec<&ApiKey>, Unlisted> {
        let rows = known("API keys", &self.facts.keys)?;
        let now = self.facts.now;
        let unexpired = |key: &ApiKey| key.expires.is_none_or(|end| end > now);
        let working = |key: &ApiKey| key.owner_active && unexpired(key);
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let aged = |key: &ApiKey, from: i64, to: i64| {
            let within = |age| (from == 0 || age >= days(from)) && (to == 0 || age < days(to));
            working(key) && key.age(now).is_some_and(within)
        };
        let chosen = |keep: &dyn Fn(&ApiKey) -> bool| -> Result<Vec<&ApiKey>, Unlisted> {
            Ok(rows.iter().filter(|key| keep(key)).collect())
        };
        let unused = |which: usize| {
            let uses = self.facts.uses.as_ref().ok_or(Unlisted::UseNotNoted)?;
            let mut keys = Vec::new();
            for key in rows.iter().filter(|key| working(key)) {
                let unused = uses.unused_for(key, now, &UNUSED_DAYS[which]);
                if unused.ok_or(Unlisted::UseNotNoted)? {
                    keys.push(key);
                }
            }
            Ok(keys)
        };
        match state {
            KeyState::Working => chosen(&working),
            KeyState::Unrestricted => {
                chosen(&|key| working(key) && key.scope == Scope::Unrestricted)
            }
            KeyState::Lt30d => chosen(&|key| aged(key, 0, 30)),
            KeyState::From30To90d => chosen(&|key| aged(key, 30, 90)),
            KeyState::From90To365d => chosen(&|key| aged(key, 90, 365)),
            KeyState::Ge365d => chosen(&|key| aged(key, 365, 0)),
            KeyState::WithoutExpiry => chosen(&|key| working(key) && key.expires.is_none()),
            KeyState::Unused30To90d => unused(0),
            KeyState::UnusedGe90d => unused(1),
            KeyState::Expiring => {
                let soon = |key: &ApiKey| {
                    key.expires
                        .is_some_and(|end| end.duration_since(now) < days(30))
                };
                chosen(&|key| working(key) && soon(key))
            }
            KeyState::OfPrivileged => {
                let privileged = self.role(InRole::Any)?;
                chosen(&|key| working(key) && privileged.contains(key.owner))
            }
            KeyState::OfUnprotected => {
                self.covered()?;
                chosen(&|key| working(key) && self.is_covered(key.owner) == Some(false))
            }
            KeyState::OfArchived => chosen(&|key| !key.owner_active && unexpired(key)),
            KeyState::Expired => chosen(&|key| !unexpired(key)),
        }
    }

    fn in_state(&self, state: State) -> Result<Selection, Unlisted> {
        let facts = &self.facts;
        let everybody = || Selection {
            ids: self.named(),
            portal_except: Some(IdSet::new()),
        };
        let eligible = || self.minus(everybody(), &self.standing.exempt);
        let unprotected = || -> Result<Selection, Unlisted> {
            let covered = self.covered()?;
            let rest = self.minus(eligible(), &covered.holders);
            Ok(self.of_types(&rest, |user_type| !covered.types[user_type]))
        };
        let holders = |people: &IdSet| Ok(self.and(&everybody(), people));
        match state {
            State::Active => Ok(everybody()),
            State::Eligible => Ok(eligible()),
            State::Protected => {
                let covered = self.covered()?;
                let eligible = eligible();
                let whole = self.of_types(&eligible, |user_type| covered.types[user_type]);
                let rest = self.of_types(&eligible, |user_type| !covered.types[user_type]);
                Ok(Selection {
                    ids: whole.ids | self.and(&rest, &covered.holders).ids,
                    portal_except: whole.portal_except,
                })
            }
            State::Unprotected => unprotected(),
            State::Grace => Ok(self.and(&unprotected()?, &facts.recent)),
            State::PastGrace => Ok(self.minus(unprotected()?, &facts.recent)),
            State::Dormant => {
                let awake = known("logins", &facts.awake)?;
                Ok(self.minus(unprotected()?, awake))
            }
            State::Exempt => holders(&self.standing.exempt),
            State::Totp => holders(known("TOTP enrollments", &facts.totp)?),
            State::Passkey => holders(known("passkeys", &facts.passkey)?),
            State::Oauth => holders(known("links to OAuth", &facts.oauth)?),
            State::Saml => holders(known("links to SAML", &facts.saml)?),
            State::SingleFactor => {
                let totp = known("TOTP enrollments", &facts.totp)?;
                let passkey = known("passkeys", &facts.passkey)?;
                Ok(self.and(&eligible(), &(totp ^ passkey)))
            }
            State::PasswordRpc => {
                let Some(open) = password_rpc(facts) else {
                    known("modules", &facts.modules)?;
                    known("the policy's settings", &facts.policy)?;
                    return Err(Unlisted::NotAsked("modules"));
                };
                Ok(match open {
                    PasswordRpc::Closed => Selection::default(),
                    PasswordRpc::OpenExcept { types } => {
                        let totp = known("TOTP enrollments", &facts.totp)?;
                        let rest = self.minus(everybody(), totp);
                        self.of_types(&rest, |user_type| !types[user_type])
                    }
                })
            }
        }
    }

    fn covered(&self) -> Result<&Covered, Unlisted> {
        for factor in &self.accepted {
            match factor {
                Factor::Totp => {
                    known("TOTP enrollments", &self.facts.totp)?;
                }
                Factor::Passkey => {
                    known("passkeys", &self.facts.passkey)?;
                }
                Factor::Sso => {
                    known("links to OAuth", &self.facts.oauth)?;
                    known("links to SAML", &self.facts.saml)?;
                }
                Factor::EmailPolicy => {
                    known("modules", &self.facts.modules)?;
                    known("the policy's settings", &self.facts.policy)?;
                }
            }
        }
        let covered = self.standing.covered.as_ref();
        covered.ok_or(Unlisted::NotAsked("accepted factors"))
    }

    fn role(&self, role: InRole) -> Result<IdSet, Unlisted> {
        let roles = known("members of groups", &self.facts.roles)?;
        match role {
            InRole::Any => Ok(roles.values().fold(IdSet::new(), |all, it| all | it)),
            InRole::Administrators => {
                let mut admins = ADMIN_ROLES.iter().filter_map(|name| roles.get(*name));
                let first = admins
                    .next()
                    .ok_or_else(|| Unlisted::NoSuchRole(ADMIN_ROLES.join(", ")))?;
                Ok(admins.fold(first.clone(), |all, it| all | it))
            }
            InRole::Named(name) => {
                let people = roles.get(name).cloned();
                people.ok_or_else(|| Unlisted::NoSuchRole(name.to_owned()))
            }
        }
    }

    fn in_roles(&self, roles: &[InRole]) -> Result<IdSet, Unlisted> {
        let mut people = IdSet::new();
        for role in roles {
            people |= self.role(*role)?;
        }
        Ok(people)
    }

    /// Active people who are no portal people.
    fn named(&self) -> IdSet {
        let people = &self.facts.people;
        &people.internal | &people.public | &people.none
    }

    fn minus(&self, mut people: Selection, others: &IdSet) -> Selection {
        people.ids -= others;
        if let Some(except) = &mut people.portal_except {
            *except |= others - self.named();
        }
        people
    }

    /// Users who are in at least one of two sets.
    fn or(&self, one: Selection, other: Selection) -> Selection {
        let ids = one.ids | other.ids;
        let except = match (one.portal_except, other.portal_except) {
            (Some(one), Some(other)) => one & other,
            (Some(except), None) | (None, Some(except)) => except,
            (None, None) => {
                return Selection {
                    ids,
                    portal_except: None,
                };
            }
        };
        // If all portal users but some are in the set, no portal user is listed by id.
        Selection {
            portal_except: Some(except - &ids),
            ids: ids & self.named(),
        }
    }

    /// Of these, those who are also among others, who are known by id and active.
    fn and(&self, people: &Selection, others: &IdSet) -> Selection {
        let mut ids = &people.ids & others;
        if let Some(except) = &people.portal_except {
            ids |= others - self.named() - except;
        }
        Selection {
            ids,
            portal_except: None,
        }
    }

    fn of_types(&self, people: &Selection, filter: impl Fn(UserType) -> bool) -> Selection {
        let all = &self.facts.people;
        let filter = PerType::from_fn(filter);
        let sets = [
            (UserType::Internal, &all.internal),
            (UserType::Public, &all.public),
            (UserType::None, &all.none),
        ];
        let mut ids = people.ids.clone();
        for (user_type, set) in sets {
            if !filter[user_type] {
                ids -= set;
            }
        }
        if !filter[UserType::Portal] {
            ids &= self.named();
        }
        Selection {
            ids,
            portal_except: people
                .portal_except
                .clone()
                .filter(|_| filter[UserType::Portal]),
        }
    }
}

fn known<'a, T>(what: &'static str, fact: &'a Known<T>) -> Result<&'a T, Unlisted> {
    match fact {
        Known::Complete(fact) => Ok(fact),
        Known::Missing(gap) => Err(Unlisted::Missing {
            what,
            gap: gap.clone(),
        }),
        Known::NotAsked => Err(Unlisted::NotAsked(what)),
    }
}
