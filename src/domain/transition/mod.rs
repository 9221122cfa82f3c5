//! Changes between two polls of a target, by ids: users who enrolled, lost a second factor or became privileged, API keys that came
//! and went, and who joined or left.
//!
//! A [`Baseline`] is what the next comparison needs of a poll. [`questions`] says what else Odoo must be asked, since a poll does not
//! list portal users, and [`advance`] compares. A database that was restored, replaced or moved is a [`Break`]: it has no changes,
//! only a new baseline.

mod baseline;
mod counters;
mod recent;
#[cfg(test)]
mod recent_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use baseline::{Baseline, Factors, Key, Origin, Part, RoleMembers};
pub use counters::{Counters, KeyTransition, MfaTransition, PrivilegeTransition};
pub use recent::{BreakGlass, Enforced, Enforcement, Protection, Recent, RecentTransition};

use super::vocabulary::{UserType, vocabulary};
use super::{Factor, IdSet, PerType};
use recent::Losses;

/// Odoo's answers to [`questions`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answers {
    /// Users that were asked for.
    pub to: IdSet,
    /// The rows that exist of those who were asked for; who is missing does not exist any more.
    pub people: BTreeMap<u32, Person>,
}

/// A row of `res.users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `active`.
    pub active: bool,
    /// `create_date`, where Odoo has one.
    pub created: Option<Timestamp>,
    /// `login`, only where the configuration allows to keep it.
    pub login: Option<String>,
}

/// One poll further.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The baseline of the next poll.
    pub baseline: Baseline,
    /// The changes.
    pub found: Found,
}

/// Result of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// There was nothing to compare with.
    First,
    /// Changes, in the order of kinds and ids.
    Changes(Vec<Change>),
    /// The two polls cannot be compared.
    Break(Break),
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The affected user: of an API key, the owner.
    pub person: u32,
    /// The user's type now; `None` for a user who is not active.
    pub user_type: Option<UserType>,
    /// True if the user is in a role now. False if that is unknown.
    pub privileged: bool,
    /// The API key.
    pub key: Option<u32>,
    /// The factors that were enrolled or lost, the roles that were granted or revoked, or the fate of the user; may be empty.
    pub detail: String,
    /// The last poll that saw it as it was before.
    pub after: Timestamp,
    /// The first poll that saw it as it is.
    pub before: Timestamp,
}

vocabulary! {
    /// Kind of a change.
    ChangeKind {
        /// An active user had neither TOTP nor a passkey, and now has one.
        MfaEnrolled = "mfa_enrolled",
        /// An active user had TOTP or a passkey, and now has neither.
        MfaDisabled = "mfa_disabled",
        /// An active user is in a role and was in none, new and returning users included.
        PrivilegeGranted = "privilege_granted",
        /// An active user was in a role and is no longer in any.
        PrivilegeRevoked = "privilege_revoked",
        /// An API key came.
        KeyCreated = "key_created",
        /// An API key vanished before its date, or had none.
        KeyRevoked = "key_revoked",
        /// An API key vanished after its date.
        KeyExpired = "key_expired",
        /// A user became an active internal user.
        Joined = "joined",
        /// An internal user was deleted, or is of another type now.
        Left = "left",
        /// An internal user was archived.
        Archived = "archived",
    }
}

/// Why two polls cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The target points somewhere else.
    #[error("the target was database {} at {}, and is another one now", .0.database, .0.url)]
    Moved(Origin),
    /// An id belongs to a user or an API key with another creation time: the database was replaced, or restored and used since.
    #[error("{0} is another one than before: the database was replaced, or restored from a backup")]
    Reused(Subject),
    /// The newest records no longer exist, or Odoo is an older release.
    #[error("{0}: the database was restored from a backup")]
    WentBack(Regress),
    /// More users changed than users do.
    #[error("{changed} of {of} {what} between two polls: the database was replaced")]
    Implausible {
        /// The event.
        what: &'static str,
        /// Number of users.
        changed: u64,
        /// Out of how many.
        of: u64,
    },
}

impl Break {
    /// One word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Moved(_) => "moved",
            Self::Reused(_) => "ids_reused",
            Self::WentBack(_) => "went_back",
            Self::Implausible { .. } => "implausible",
        }
    }
}

/// The record whose id was used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `res.users`.
    Person(u32),
    /// `res.users.apikeys`.
    Key(u32),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "the user with the id {id}"),
            Self::Key(id) => write!(f, "the API key with the id {id}"),
        }
    }
}

/// The way in which a database went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regress {
    /// Odoo's release.
    Release {
        /// Before.
        from: (u32, u32),
        /// Now.
        to: (u32, u32),
    },
    /// The newest users, or the newest user and the newest key, are gone.
    Newest,
}

impl std::fmt::Display for Regress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release { from, to } => {
                write!(
                    f,
                    "Odoo went from {}.{} to {}.{}",
                    from.0, from.1, to.0, to.1
                )
            }
            Self::Newest => f.write_str("the newest users no longer exist"),
        }
    }
}

/// The answers do not belong to the questions: the baseline is not the one that they were derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the facts for a comparison were not read")]
pub struct Unasked;

/// Users of whom Odoo must be asked, before these two can be compared, whether they exist, are active, and since when they exist. None for
/// nearly every poll.
pub fn questions(previous: Option<&Baseline>, current: &Baseline) -> IdSet {
    let Some(previous) = previous.filter(|previous| evident_break(previous, current).is_none())
    else {
        return current.witness_candidates();
    };
    let mut gone = previous.comparable_with(current) - current.seen_active();
    if current.protection.is_some() {
        gone |= previous.recent.portal() - current.seen_active();
    }
    let mut people = IdSet::new();
    if !gone.is_empty() || differ(previous, current) {
        people = gone | current.witness_candidates();
        people.extend(previous.witnesses.keys());
    }
    people
}

/// The users that the changes between these two may mention; none at the first poll.
pub fn mentioned(previous: Option<&Baseline>, current: &Baseline) -> IdSet {
    fn differing(before: &IdSet, now: &IdSet) -> IdSet {
        &(before - now) | &(now - before)
    }
    let Some(previous) = previous else {
        return IdSet::new();
    };
    let mut people = differing(&previous.internal, &current.internal);
    if let (Some(before), Some(now)) = (&previous.factors, &current.factors) {
        people |= differing(&before.value.holders(), &now.value.holders());
    }
    if let (Some(before), Some(now)) = (&previous.roles, &current.roles) {
        people |= differing(&before.value.everybody(), &now.value.everybody());
    }
    if let (Some(before), Some(now)) = (&previous.keys, &current.keys) {
        let (before, now) = (&before.value, &now.value);
        let created = now.iter().filter(|(id, _)| !before.contains_key(id));
        let gone = before.iter().filter(|(id, _)| !now.contains_key(id));
        people.extend(created.chain(gone).map(|(_, key)| key.owner));
    }
    people
}

/// Compares a poll with the one before.
///
/// # Errors
/// If the answers are not those to [`questions`] about these two.
pub fn advance(
    previous: Option<&Baseline>,
    current: Baseline,
    answers: &Answers,
) -> Result<Step, Unasked> {
    if !questions(previous, &current).is_subset(&answers.to) {
        return Err(Unasked);
    }
    let Some(previous) = previous else {
        let recent = Recent::begin(&current);
        return Ok(Step {
            baseline: current.begin(recent, answers),
            found: Found::First,
        });
    };
    let broken = |current: Baseline, found| {
        let recent = match &found {
            Break::Moved(_) => Recent::begin(&current),
            _ => Recent::after_break(previous, &current),
        };
        Ok(Step {
            baseline: current.begin(recent, answers),
            found: Found::Break(found),
        })
    };
    if let Some(found) =
        evident_break(previous, &current).or_else(|| answered_break(previous, &current, answers))
    {
        return broken(current, found);
    }
    let comparison = Comparison {
        previous,
        current: &current,
        seen: current.seen_active(),
        answers,
    };
    if let Some(found) = comparison.implausible() {
        // The database is the one that it was, so ids are: what was lost is known exactly, however it came.
        let recent = Recent::succeed(previous, &current, comparison.losses(&[]), &[]);
        return Ok(Step {
            baseline: current.begin(recent.without_transitions(), answers),
            found: Found::Break(found),
        });
    }
    let changes = comparison.changes();
    let losses = comparison.losses(&changes);
    let recent = Recent::succeed(previous, &current, losses, &changes);
    Ok(Step {
        baseline: current.succeed(previous, recent, answers),
        found: Found::Changes(changes),
    })
}

/// Returns true if anything that can be a change differs.
fn differ(previous: &Baseline, current: &Baseline) -> bool {
    fn both<T: PartialEq>(previous: Option<&Part<T>>, current: Option<&Part<T>>) -> bool {
        matches!((previous, current), (Some(a), Some(b)) if a.value != b.value)
    }
    previous.internal != current.internal
        || both(previous.factors.as_ref(), current.factors.as_ref())
        || both(previous.roles.as_ref(), current.roles.as_ref())
        || both(previous.keys.as_ref(), current.keys.as_ref())
}

/// A break that shows without asking.
fn evident_break(previous: &Baseline, current: &Baseline) -> Option<Break> {
    if previous.origin != current.origin {
        return Some(Break::Moved(previous.origin.clone()));
    }
    if current.release < previous.release {
        return Some(Break::WentBack(Regress::Release {
            from: previous.release,
            to: current.release,
        }));
    }
    let keys = current.keys.as_ref()?;
    previous
        .keys
        .as_ref()?
        .value
        .iter()
        .find_map(|(id, before)| {
            let now = keys.value.get(id)?;
            let dates = now.created.zip(before.created);
            let same = now.owner == before.owner && dates.is_none_or(|(now, before)| now == before);
            (!same).then_some(Break::Reused(Subject::Key(*id)))
        })
}

/// A break that shows in who does not exist any more, or exists since another time.
fn answered_break(previous: &Baseline, current: &Baseline, answers: &Answers) -> Option<Break> {
    if answers.to.is_empty() {
        return None;
    }
    let reused = previous.witnesses.iter().find(|(id, created)| {
        let now = answers.people.get(id).and_then(|person| person.created);
        now.is_some_and(|now| now.as_second() != created.as_second())
    });
    if let Some((id, _)) = reused {
        return Some(Break::Reused(Subject::Person(*id)));
    }
    let newest_gone: Vec<u32> = previous
        .witnesses
        .keys()
        .rev()
        .copied()
        .take_while(|id| !answers.people.contains_key(id))
        .collect();
    // One account that was made by mistake and deleted at once is nothing unusual; its keys go with it.
    let newest_key_gone = || {
        let (id, key) = previous.keys.as_ref()?.value.last_key_value()?;
        let gone = !current.keys.as_ref()?.value.contains_key(id)
            && !key.expired_at(current.at)
            && !newest_gone.contains(&key.owner);
        gone.then_some(())
    };
    let went_back = match newest_gone.len() {
        0 => false,
        1 => newest_key_gone().is_some(),
        _ => true,
    };
    went_back.then_some(Break::WentBack(Regress::Newest))
}

/// Below so many, everything is plausible.
const FEW: u64 = 20;

struct Comparison<'a> {
    previous: &'a Baseline,
    current: &'a Baseline,
    /// All users whom the current poll saw as active.
    seen: IdSet,
    answers: &'a Answers,
}

impl Comparison<'_> {
    /// A replaced database has other users, or other ones of them have a factor: some lost theirs while as many enrolled.
    fn implausible(&self) -> Option<Break> {
        let before = self.previous.internal.len();
        let gone = self.previous.internal.len() - self.active_of(&self.previous.internal).len();
        if before >= FEW && gone * 2 > before {
            return Some(Break::Implausible {
                what: "internal users left",
                changed: gone,
                of: before,
            });
        }
        let (enrolled, disabled) = self.mfa()?;
        let both_ways = enrolled.len().min(disabled.len());
        let holders = self.previous.factors.as_ref()?.value.holders().len();
        (both_ways >= FEW / 2 && both_ways * 10 >= holders).then_some(Break::Implausible {
            what: "users lost their second factor while as many enrolled",
            changed: both_ways,
            of: holders,
        })
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.mfa_changes(&mut changes);
        self.privilege_changes(&mut changes);
        self.key_changes(&mut changes);
        self.people_changes(&mut changes);
        changes.sort_by_key(|change| (change.kind, change.person, change.key));
        changes
    }

    /// Users who enrolled and who disabled, if both polls know.
    fn mfa(&self) -> Option<(IdSet, IdSet)> {
        let known = &self.previous.factors.as_ref()?.value;
        let before = known.holders();
        let now = self.current.factors.as_ref()?.value.holders();
        // A user who is unarchived with a factor had it all along.
        let enrolled = &now - &before - &known.archived_holders;
        let disabled = self.active_of(&(before - now));
        Some((enrolled, disabled))
    }

    fn mfa_changes(&self, changes: &mut Vec<Change>) {
        let (Some(before), Some(now)) = (&self.previous.factors, &self.current.factors) else {
            return;
        };
        let Some((enrolled, disabled)) = self.mfa() else {
            return;
        };
        changes.extend(enrolled.iter().map(|person| Change {
            detail: now.value.methods(person),
            ..self.change(ChangeKind::MfaEnrolled, person, before.at)
        }));
        changes.extend(disabled.iter().map(|person| Change {
            detail: before.value.methods(person),
            ..self.change(ChangeKind::MfaDisabled, person, before.at)
        }));
    }

    /// Users who lost protection since, and users who lost it before and are still without it. `None` if one of the polls does not know.
    fn losses(&self, changes: &[Change]) -> Option<Losses> {
        let before = &self.previous.protection.as_ref()?.value;
        let now = &self.current.protection.as_ref()?.value;
        let mut losses = Losses::default();
        let disabled: IdSet = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::MfaDisabled)
            .map(|change| change.person)
            .collect();
        let gone = self.protected_before(before, now) - &now.users - &self.current.exempt;
        for person in self.active_of(&gone) {
            let user_type = self.type_now(person).unwrap_or(UserType::Portal);
            let same = self.previous.named_type(person) == self.current.named_type(person);
            // A user who only changed type did not lose a factor.
            if !now.covered[user_type] && (same || disabled.contains(person)) {
                losses.lost[user_type].insert(person);
            }
        }
        let ended = before.covered[UserType::Portal] && !now.covered[UserType::Portal];
        if ended && now.accepted.contains(&Factor::EmailPolicy) {
            losses.portal = before.bare_portal.min(now.bare_portal);
        }
        for ((at, user_type), people) in &self.previous.recent.lost {
            let still = self.still_unprotected(people, *user_type, now);
            if !still.is_empty() {
                losses.still.insert((*at, *user_type), still);
            }
        }
        let known: IdSet = self
            .previous
            .recent
            .lost
            .values()
            .fold(IdSet::new(), |all, it| all | it);
        let enrolled = &now.users - &before.users - known;
        losses.enrolled = PerType::from_fn(|user_type| match self.current.named(user_type) {
            Some(people) => enrolled.intersection_len(people),
            None => {
                let named = [
                    &self.current.internal,
                    &self.current.public,
                    &self.current.none,
                ];
                enrolled.len()
                    - named
                        .map(|people| enrolled.intersection_len(people))
                        .iter()
                        .sum::<u64>()
            }
        });
        Some(losses)
    }

    /// Users who were protected by what both configurations accept.
    fn protected_before(&self, before: &Protection, now: &Protection) -> IdSet {
        if before.accepted == now.accepted {
            return before.users.clone();
        }
        let both = |factor| before.accepted.contains(&factor) && now.accepted.contains(&factor);
        let mut protected = IdSet::new();
        if let Some(factors) = &self.previous.factors {
            let sets = [
                (Factor::Totp, &factors.value.totp),
                (Factor::Passkey, &factors.value.passkey),
            ];
            for (_, people) in sets.iter().filter(|(factor, _)| both(*factor)) {
                protected |= *people;
            }
        }
        if both(Factor::EmailPolicy) {
            let covered = UserType::ALL.iter().filter(|it| before.covered[**it]);
            for people in covered.filter_map(|it| self.previous.named(*it)) {
                protected |= people;
            }
        }
        protected & &before.users
    }

    /// Of users of a type who lost protection, those who are active, of that type, eligible and without it.
    fn still_unprotected(&self, people: &IdSet, user_type: UserType, now: &Protection) -> IdSet {
        let people = people - &now.users - &self.current.exempt;
        match self.current.named(user_type) {
            _ if now.covered[user_type] => IdSet::new(),
            Some(of_type) => people & of_type,
            None => self
                .active_of(&people)
                .iter()
                .filter(|id| self.current.named_type(*id).is_none())
                .collect(),
        }
    }

    fn privilege_changes(&self, changes: &mut Vec<Change>) {
        let (Some(before), Some(now)) = (&self.previous.roles, &self.current.roles) else {
            return;
        };
        if before.value.definition != now.value.definition {
            return;
        }
        let (was, is) = (before.value.everybody(), now.value.everybody());
        changes.extend((&is - &was).iter().map(|person| Change {
            detail: now.value.of(person),
            ..self.change(ChangeKind::PrivilegeGranted, person, before.at)
        }));
        let revoked = self.active_of(&(was - is));
        changes.extend(revoked.iter().map(|person| Change {
            detail: before.value.of(person),
            ..self.change(ChangeKind::PrivilegeRevoked, person, before.at)
        }));
    }

    fn key_changes(&self, changes: &mut Vec<Change>) {
        let (Some(before), Some(now)) = (&self.previous.keys, &self.current.keys) else {
            return;
        };
        let mut push = |kind, id: u32, key: &Key| {
            changes.push(Change {
                key: Some(id),
                ..self.change(kind, key.owner, before.at)
            });
        };
        for (id, key) in &now.value {
            if !before.value.contains_key(id) {
                push(ChangeKind::KeyCreated, *id, key);
            }
        }
        for (id, key) in &before.value {
            if now.value.contains_key(id) {
                continue;
            }
            if key.expired_at(self.current.at) {
                push(ChangeKind::KeyExpired, *id, key);
            } else {
                push(ChangeKind::KeyRevoked, *id, key);
            }
        }
    }

    fn people_changes(&self, changes: &mut Vec<Change>) {
        let (was, is) = (&self.previous.internal, &self.current.internal);
        let at = self.previous.at;
        changes.extend((is - was).iter().map(|person| Change {
            detail: match self.previous.named_type(person) {
                Some(before) => format!("was {before}"),
                None => String::new(),
            },
            ..self.change(ChangeKind::Joined, person, at)
        }));
        for person in was - is {
            let (kind, detail) = match (self.type_now(person), self.answers.people.get(&person)) {
                (Some(user_type), _) => (ChangeKind::Left, format!("is {user_type}")),
                (None, Some(_)) => (ChangeKind::Archived, String::new()),
                (None, None) => (ChangeKind::Left, "deleted".to_owned()),
            };
            changes.push(Change {
                detail,
                ..self.change(kind, person, at)
            });
        }
    }

    fn change(&self, kind: ChangeKind, person: u32, after: Timestamp) -> Change {
        let roles = self.current.roles.as_ref();
        Change {
            kind,
            person,
            user_type: self.type_now(person),
            privileged: roles.is_some_and(|roles| roles.value.contains(person)),
            key: None,
            detail: String::new(),
            // A clock that was set back does not turn a window around.
            after: after.min(self.current.at),
            before: self.current.at,
        }
    }

    /// The type of an active user; portal users are those who are active and of no other type.
    fn type_now(&self, person: u32) -> Option<UserType> {
        self.current.named_type(person).or_else(|| {
            let active = self.seen.contains(person) || self.answered_active(person);
            active.then_some(UserType::Portal)
        })
    }

    fn active_of(&self, people: &IdSet) -> IdSet {
        let mut active = people & &self.seen;
        active.extend(
            (people - &self.seen)
                .iter()
                .filter(|id| self.answered_active(*id)),
        );
        active
    }

    fn answered_active(&self, person: u32) -> bool {
        let row = self.answers.people.get(&person);
        row.is_some_and(|person| person.active)
    }
}

impl Factors {
    /// The words of the factors that a user has.
    fn methods(&self, person: u32) -> String {
        let has = [(Factor::Totp, &self.totp), (Factor::Passkey, &self.passkey)];
        let words: Vec<&str> = has
            .into_iter()
            .filter(|(_, people)| people.contains(person))
            .map(|(factor, _)| factor.as_str())
            .collect();
        words.join(", ")
    }
}
