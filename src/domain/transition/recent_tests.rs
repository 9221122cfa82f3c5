//! Events for alerts, in situations in which one of the engines raised a false alarm or none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::tests::World;
use super::*;

/// A world and what its polls remember.
struct Course {
    world: World,
    baseline: Baseline,
}

const INTERNAL: usize = 0;
const PORTAL: usize = 1;

impl Course {
    /// 200 internal users, of whom 150 have TOTP, and 200 portal users, of whom 100 have.
    fn new() -> Self {
        let mut world = World::new();
        world.people.clear();
        for index in 0..400 {
            let portal = index >= 200;
            let id = world.join(if portal {
                UserType::Portal
            } else {
                UserType::Internal
            });
            world.user(id).totp = if portal { index < 300 } else { index < 150 };
        }
        Self::of(world)
    }

    fn of(world: World) -> Self {
        let baseline = world.step(None).baseline;
        Self { world, baseline }
    }

    /// Polls after this time.
    fn poll_after(&mut self, time: SignedDuration) -> PerType<u64> {
        self.world.now += time;
        let step = self.world.step(Some(&self.baseline));
        self.baseline = step.baseline;
        self.baseline.recent.unprotected()
    }

    fn poll(&mut self) -> PerType<u64> {
        self.poll_after(SignedDuration::from_mins(5))
    }

    /// The first so many users of whom this holds.
    fn first(&self, users: usize, holds: impl Fn(&tests::TestUser) -> bool) -> Vec<u32> {
        let people = self.world.people.iter();
        let ids = people
            .filter(|(_, it)| it.active && holds(it))
            .map(|(id, _)| *id);
        let ids: Vec<u32> = ids.take(users).collect();
        assert_eq!(ids.len(), users, "there are not so many");
        ids
    }

    fn change(&mut self, ids: &[u32], change: impl Fn(&mut tests::TestUser)) {
        for id in ids {
            change(self.world.user(*id));
        }
    }

    /// So many users of a type lose TOTP.
    fn lose(&mut self, users: usize, user_type: UserType) -> Vec<u32> {
        let ids = self.first(users, |it| it.totp && it.user_type == user_type);
        self.change(&ids, |it| it.totp = false);
        ids
    }

    fn hire(&mut self, users: usize, totp: bool) -> Vec<u32> {
        let ids: Vec<u32> = (0..users)
            .map(|_| self.world.join(UserType::Internal))
            .collect();
        self.change(&ids, |it| it.totp = totp);
        ids
    }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[test]
fn turnover_is_no_loss() {
    let mut course = Course::new();
    // Five protected leavers and five hires on one day.
    let leavers = course.first(5, |it| it.totp && it.user_type == UserType::Internal);
    course.change(&leavers, |it| it.active = false);
    course.hire(5, false);
    assert_eq!(course.poll().0, [0; 4]);
    // One out and one in, each working day for weeks.
    for _ in 0..30 {
        let leaver = course.first(1, |it| it.totp && it.user_type == UserType::Internal);
        course.world.delete(leaver[0]);
        course.hire(1, false);
        assert_eq!(course.poll_after(hours(24)).0, [0; 4]);
    }
}

#[test]
fn a_loss_among_other_changes_is_counted_exactly_and_until_it_is_fixed() {
    let mut course = Course::new();
    let lost = course.lose(30, UserType::Internal);
    let unprotected = course.first(40, |it| !it.totp && it.user_type == UserType::Internal);
    let others: Vec<u32> = unprotected
        .iter()
        .copied()
        .filter(|id| !lost.contains(id))
        .collect();
    // Unprotected users are archived while others lose their factor, and an enrollment campaign runs.
    course.change(&others, |it| it.active = false);
    course.hire(50, true);
    assert_eq!(course.poll().0, [30, 0, 0, 0]);
    // Users who enroll again, leave, become exempt or change type drop out.
    course.change(&lost[..5], |it| it.totp = true);
    assert_eq!(course.poll().0, [25, 0, 0, 0]);
    course.change(&lost[5..10], |it| it.active = false);
    course.world.delete(lost[10]);
    assert_eq!(course.poll().0, [19, 0, 0, 0]);
    course.change(&lost[11..16], |it| it.exempt = true);
    assert_eq!(course.poll().0, [14, 0, 0, 0]);
    course.change(&lost[16..20], |it| it.user_type = UserType::Portal);
    assert_eq!(course.poll().0, [10, 0, 0, 0]);
    course.change(&lost[20..], |it| it.totp = true);
    assert_eq!(course.poll().0, [0; 4]);
    // Slow erosion after that begins at one.
    for day in 1..=9 {
        course.lose(1, UserType::Internal);
        assert_eq!(course.poll_after(hours(24)).0[INTERNAL], day.min(7));
    }
}

#[test]
fn a_type_changes_while_others_sign_up() {
    let mut course = Course::new();
    let promoted = course.first(30, |it| it.totp && it.user_type == UserType::Portal);
    course.change(&promoted, |it| it.user_type = UserType::Internal);
    for _ in 0..30 {
        course.world.join(UserType::Portal);
    }
    assert_eq!(course.poll().0, [0; 4]);
    // A loss of portal users is known by id: an archived one drops out, one who comes back does not enter again.
    let lost = course.lose(10, UserType::Portal);
    assert_eq!(course.poll().0[PORTAL], 10);
    course.change(&lost[..3], |it| it.active = false);
    assert_eq!(course.poll().0[PORTAL], 7);
    course.change(&lost[..3], |it| it.active = true);
    assert_eq!(course.poll().0[PORTAL], 7);
    course.change(&lost[3..5], |it| it.totp = true);
    course.change(&lost[5..6], |it| it.user_type = UserType::Internal);
    assert_eq!(course.poll().0[PORTAL], 4);
}

#[test]
fn the_configuration_and_its_exemptions_lose_nothing() {
    let mut course = Course::new();
    course.world.accepted.insert(Factor::Passkey);
    let some = course.first(40, |it| !it.totp && it.user_type == UserType::Internal);
    course.change(&some, |it| it.passkey = true);
    course.poll();
    // It accepts passkeys no more; one who lost TOTP in the meantime is found all the same.
    course.world.accepted.remove(&Factor::Passkey);
    course.lose(1, UserType::Internal);
    assert_eq!(course.poll().0, [1, 0, 0, 0]);
    // Exempt users without a factor whose exemption ends.
    let exempt = course.hire(20, false);
    course.change(&exempt, |it| it.exempt = true);
    course.poll();
    course.change(&exempt, |it| it.exempt = false);
    assert_eq!(course.poll().0, [1, 0, 0, 0]);
}

#[test]
fn identity_providers_and_policies_protect_too() {
    let mut course = Course::new();
    course
        .world
        .accepted
        .extend([Factor::Sso, Factor::EmailPolicy]);
    let linked = course.first(20, |it| !it.totp && it.user_type == UserType::Internal);
    course.change(&linked, |it| it.sso = true);
    course.world.policy[UserType::Portal] = true;
    assert_eq!(course.poll().0, [0; 4]);
    course.change(&linked[..6], |it| it.sso = false);
    assert_eq!(course.poll().0, [6, 0, 0, 0]);
    // The policy ends for the portal: 100 of its users hold no factor. New ones do not enter.
    course.world.policy[UserType::Portal] = false;
    for _ in 0..30 {
        course.world.join(UserType::Portal);
    }
    assert_eq!(course.poll().0, [6, 100, 0, 0]);
    let enrolled = course.first(25, |it| !it.totp && it.user_type == UserType::Portal);
    course.change(&enrolled, |it| it.totp = true);
    assert_eq!(course.poll().0, [6, 75, 0, 0]);
    // It begins again.
    course.world.policy[UserType::Portal] = true;
    assert_eq!(course.poll().0, [6, 0, 0, 0]);
    // For internal users it is exact: it ends, and all users without their own factor are named.
    course.world.policy = PerType([true, true, false, false]);
    assert_eq!(course.poll().0, [0; 4]);
    course.world.policy = PerType::default();
    assert_eq!(
        course.poll().0[INTERNAL],
        course.world.unprotected()[UserType::Internal]
    );
}

#[test]
fn losses_over_an_outage_are_found_with_the_first_poll_and_last_for_a_week() {
    for outage in [2, 26, 64] {
        let mut course = Course::new();
        course.lose(40, UserType::Internal);
        assert_eq!(
            course.poll_after(hours(outage)).0[INTERNAL],
            40,
            "{outage} h"
        );
        assert_eq!(
            course
                .baseline
                .recent
                .people(RecentTransition::Disabled)
                .len(),
            40
        );
        assert_eq!(course.poll_after(hours(24 * 7 - 1)).0[INTERNAL], 40);
        assert!(
            course
                .baseline
                .recent
                .people(RecentTransition::Disabled)
                .is_empty()
        );
        assert_eq!(course.poll_after(hours(1)).0[INTERNAL], 0);
    }
}

#[test]
fn a_restored_backup_enters_with_its_net_loss() {
    let mut course = Course::new();
    let before = course.world.clone();
    let enrolled = course.first(40, |it| !it.totp && it.user_type == UserType::Internal);
    course.hire(3, false);
    course.change(&enrolled, |it| it.totp = true);
    assert_eq!(course.poll().0, [0; 4]);
    // The newest users are gone with the backup.
    let now = std::mem::replace(&mut course.world, before).now;
    course.world.now = now;
    assert_eq!(course.poll().0, [40, 0, 0, 0]);
    assert!(
        course
            .baseline
            .recent
            .people(RecentTransition::Disabled)
            .is_empty()
    );
    course.change(&enrolled[..10], |it| it.totp = true);
    assert_eq!(course.poll().0, [30, 0, 0, 0]);
    // A target that points to another database starts again.
    course.baseline.origin.database = "another".into();
    assert_eq!(course.poll().0, [0; 4]);
}

#[test]
fn what_is_unknown_for_a_while_is_compared_over_the_gap() {
    let mut course = Course::new();
    course.world.sees_factors = false;
    course.lose(12, UserType::Internal);
    assert_eq!(course.poll().0, [0; 4]);
    course.world.sees_factors = true;
    assert_eq!(course.poll().0, [12, 0, 0, 0]);
}

#[test]
fn many_portal_users_are_counted_and_no_longer_asked_for() {
    let mut course = Course::new();
    let many: Vec<u32> = (0..1500)
        .map(|_| course.world.join(UserType::Portal))
        .collect();
    course.change(&many, |it| it.totp = true);
    course.poll();
    course.change(&many, |it| it.totp = false);
    assert_eq!(course.poll().0[PORTAL], 1500);
    assert!(course.baseline.recent.lost.is_empty());
    course.change(&many[..100], |it| it.totp = true);
    assert_eq!(course.poll().0[PORTAL], 1400);
}

/// A policy that is in force for so long, seen by polls of this interval: whether its end is a weakening.
fn weakens(minutes: i64, interval: i64) -> bool {
    let mut course = Course::new();
    let interval = SignedDuration::from_mins(interval);
    course.poll_after(interval);
    let begin = course.world.now + interval / 2;
    let end = begin + SignedDuration::from_mins(minutes);
    while course.world.now < end + interval {
        let now = course.world.now + interval;
        course.world.policy[UserType::Internal] = now >= begin && now < end;
        course.poll_after(interval);
    }
    let weakened = |user_type| course.baseline.recent.enforcement[user_type].weakened;
    assert_eq!(weakened(UserType::Portal), None);
    weakened(UserType::Internal).is_some()
}

#[test]
fn a_trial_of_an_hour_weakens_nothing_and_one_of_two_hours_does() {
    for interval in [1, 5, 15, 60] {
        assert!(!weakens(60, interval), "an hour at {interval}m");
        assert!(weakens(120, interval), "two hours at {interval}m");
    }
}

#[test]
fn a_policy_that_ends_during_an_outage_is_weakened_when_it_is_found() {
    let mut world = World::new();
    world.policy = PerType([true, true, false, false]);
    let mut course = Course::of(world);
    course.poll_after(hours(2));
    course.world.policy = PerType([true, false, false, false]);
    course.poll_after(hours(26));
    let known = course.baseline.recent.enforcement;
    assert_eq!(known[UserType::Portal].weakened, Some(course.world.now));
    assert_eq!(known[UserType::Internal].weakened, None);
    // It is remembered through breaks, but not of another database.
    course.world.policy = PerType::default();
    course.baseline.release = (99, 0);
    course.poll();
    let known = course.baseline.recent.enforcement;
    assert_eq!(known[UserType::Internal].weakened, Some(course.world.now));
    course.baseline.origin.url = "https://elsewhere".into();
    course.poll();
    assert_eq!(
        course.baseline.recent.enforcement[UserType::Internal].weakened,
        None
    );
}

#[test]
fn an_old_store_begins_without_events() {
    let mut course = Course::new();
    course.world.policy[UserType::Internal] = true;
    course.poll();
    course.baseline.protection = None;
    course.baseline.recent = Recent::default();
    course.lose(30, UserType::Internal);
    course.world.policy = PerType::default();
    assert_eq!(course.poll().0, [0; 4]);
    assert_eq!(
        course.baseline.recent.enforcement[UserType::Internal].weakened,
        None
    );
}

#[test]
fn a_login_of_a_break_glass_account_is_found_once() {
    let mut course = Course::new();
    let login = course.world.now - hours(200);
    course.world.break_glass = Some(login);
    course.poll();
    let known = |course: &Course| {
        course
            .baseline
            .recent
            .break_glass
            .map(|it| (it.login, it.found))
    };
    assert_eq!(known(&course), Some((login, None)), "it was there before");
    let login = course.world.now + hours(1);
    course.world.break_glass = Some(login);
    course.poll_after(hours(30));
    let found = Some((login, Some(course.world.now)));
    assert_eq!(known(&course), found);
    course.poll();
    course.world.break_glass = None;
    course.poll();
    assert_eq!(known(&course), found, "it is unknown for a while");
}

proptest! {
    /// For any changes between polls of one configuration, the number is that of the users who were protected at some poll of the
    /// last week, have not had protection since, and are eligible, of the same type and unprotected now.
    #[test]
    fn the_number_is_that_of_a_record_of_all_users(course in prop::collection::vec(prop::collection::vec((0usize..60, 0u8..7), 0..12), 1..25)) {
        let mut kept = Course::of(World::new());
        let mut lost: BTreeMap<u32, (Timestamp, UserType)> = BTreeMap::new();
        for events in course {
            let before = kept.world.clone();
            let ids: Vec<u32> = before.people.keys().copied().collect();
            for (index, event) in events {
                let id = ids[index % ids.len()];
                let user = kept.world.user(id);
                match event {
                    0 | 1 => user.totp = !user.totp,
                    2 => user.active = !user.active,
                    3 => user.exempt = !user.exempt,
                    4 => user.privileged = !user.privileged,
                    5 => user.passkey = !user.passkey,
                    _ => { kept.world.join(UserType::Internal); }
                }
            }
            kept.world.now += SignedDuration::from_hours(20);
            let step = kept.world.step(Some(&kept.baseline));
            let broken = matches!(step.found, Found::Break(_));
            kept.baseline = step.baseline;
            prop_assume!(!broken);
            for (id, is) in &kept.world.people {
                let unprotected = is.active && !is.exempt && !is.totp;
                let was = before.people.get(id).is_some_and(|was| was.active && !was.exempt && was.totp);
                if !unprotected {
                    lost.remove(id);
                } else if was {
                    lost.insert(*id, (kept.world.now, is.user_type));
                }
            }
            lost.retain(|_, (at, _)| kept.world.now.duration_since(*at) < SignedDuration::from_hours(7 * 24));
            let count = |user_type| lost.values().filter(|(_, it)| *it == user_type).count() as u64;
            prop_assert_eq!(kept.baseline.recent.unprotected(), PerType::from_fn(count));
        }
    }
}
