//! Retention of data.

use rusqlite::TransactionBehavior;

use super::*;
use crate::store::history;
use crate::store::render::{Format, render};

#[tokio::test]
async fn counters_begin_at_zero_and_go_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state").join("store.db");
    let mut world = World::new();
    {
        let store = open(&path);
        assert_eq!(counters(&store, "erp").await, None);
        let first = world.poll(&store, "erp").await.expect("recorded");
        assert_eq!((first.changes.len(), total(&first.counters)), (0, 0));
        assert_eq!(
            first.counters.mfa.0,
            [Some([0; 2]), Some([0; 2]), None, None]
        );
        assert_eq!(first.counters.api_keys, Some([0; 3]));
        world.later().totp.remove(10);
        let second = world.poll(&store, "erp").await.expect("recorded");
        assert_eq!(second.counters.mfa.0[0], Some([0, 1]));
        store.record_failure("erp").await.expect("written");
        store.close().await;
        assert_eq!(
            store.baseline("erp", Duration::MAX).await,
            Err(Error::Closed)
        );
    }
    // While the daemon is down: one more, one less, a privilege, a key for a key.
    world.later().totp.insert(31);
    world.totp.remove(11);
    world.admins.insert(12);
    world.keys.remove(&2);
    world.keys.insert(3, 12);
    let store = open(&path);
    assert_eq!(counters(&store, "erp").await.map(|it| total(&it)), Some(1));
    let third = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(third.counters.mfa.0[0], Some([1, 2]));
    assert_eq!(third.counters.privilege, Some([1, 0]));
    assert_eq!(third.counters.api_keys, Some([1, 1, 0]));
    assert_eq!(counters(&store, "erp").await, Some(third.counters));
    // A target of another name is another target.
    let renamed = world.poll(&store, "erp-2").await.expect("recorded");
    assert_eq!((renamed.changes.len(), total(&renamed.counters)), (0, 0));
}

#[tokio::test]
async fn a_baseline_is_read_back_as_it_was_written() {
    let store = memory();
    let mut world = World::new();
    // Sets of several chunks: dense, sparse, with ids at the ends of chunks.
    world.internal = (6..200_000).collect();
    world.totp = (6..200_000)
        .step_by(7)
        .chain([65_535, 65_536, 131_071])
        .collect();
    world.poll(&store, "erp").await.expect("recorded");
    for (removed, added) in [(65_536, 65_537), (6, 199_999), (131_071, 131_072)] {
        world.later().totp.remove(removed);
        world.totp.insert(added);
        let previous = store
            .baseline("erp", Duration::MAX)
            .await
            .expect("read")
            .expect("there");
        let recorded = world.poll(&store, "erp").await.expect("recorded");
        assert_eq!(recorded.changes.len(), 2, "{:?}", recorded.changes);
        let now = store
            .baseline("erp", Duration::MAX)
            .await
            .expect("read")
            .expect("there");
        let expected = Baseline {
            witnesses: now.witnesses.clone(),
            recent: recorded.recent,
            ..world.baseline()
        };
        assert_eq!(*now, expected);
        assert_eq!(now.witnesses.len(), 4);
        assert_ne!(now, previous);
    }
    // A role that is not there any more leaves nothing behind.
    world.later().role = "access_rights";
    world.poll(&store, "erp").await.expect("recorded");
    let now = store
        .baseline("erp", Duration::MAX)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(now.roles, world.baseline().roles);
}

#[tokio::test]
async fn what_alerts_remember_survives() {
    let store = memory();
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    let lost: IdSet = (10..15).collect();
    world.later().totp -= &lost;
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    let found = recorded.recent.people(RecentTransition::Disabled);
    assert_eq!((recorded.recent.unprotected().0[0], &found), (5, &lost));
    let resume = async || {
        let resumed = store.resume("erp", FINGERPRINT, INTERVAL, world.now).await;
        resumed.expect("a store that works").recent
    };
    assert_eq!(resume().await, Some(recorded.recent));
    // A fixed exemption is deleted from the file, too.
    world.later().totp |= &lost;
    world.now += SignedDuration::from_hours(3);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(recorded.recent, Recent::default());
    let now = store
        .baseline("erp", Duration::MAX)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(now.recent, Recent::default());
}

#[tokio::test]
async fn what_is_written_down_is_compared_with_the_last_one_written_not_with_the_last_one_asked_for()
 {
    let store = memory();
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    world.later().totp.remove(11);
    let previous = store.baseline("erp", Duration::MAX).await.expect("read");
    let record = world.record("erp", previous.as_deref());
    let first = store.record(record.clone()).await.expect("recorded");
    assert_eq!(first.changes.len(), 1);
    let again = store.record(record).await.expect("recorded");
    assert_eq!(again.changes, []);
    assert_eq!(again.counters, first.counters);
}

#[tokio::test]
async fn an_empty_role_is_no_reason_to_ask() {
    let store = memory();
    let mut world = World {
        admins: IdSet::new(),
        ..World::new()
    };
    world.poll(&store, "erp").await.expect("a poll");
    let previous = store
        .baseline("erp", Duration::MAX)
        .await
        .expect("a baseline");
    let asked = questions(previous.as_deref(), &world.later().baseline());
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn the_last_poll_is_shown_after_a_restart_only_while_it_is_true() {
    let store = memory();
    let world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    let resume = async |fingerprint, seconds: i64| {
        let now = world.now + SignedDuration::from_secs(seconds);
        let resumed = store.resume("erp", fingerprint, INTERVAL, now).await;
        resumed.expect("read").last_poll
    };
    let ended = 1;
    let shown = resume(FINGERPRINT, ended + 599)
        .await
        .expect("under two intervals");
    assert_eq!(shown.posture, world.posture());
    assert_eq!(shown.at, world.now + SignedDuration::from_secs(ended));
    assert_eq!(shown.server, world.facts().server);
    let gaps: Vec<_> = shown
        .capabilities
        .iter()
        .filter_map(|(capability, gap)| Some((*capability, gap.as_ref()?.grant)))
        .collect();
    assert_eq!(gaps, [(Capability::TrustedDevices, "a record rule")]);

    assert_eq!(
        resume(FINGERPRINT, ended + 600).await,
        None,
        "two intervals"
    );
    assert_eq!(
        resume(FINGERPRINT + 1, ended).await,
        None,
        "configured otherwise"
    );
    assert_eq!(
        resume(FINGERPRINT, ended - 1).await,
        None,
        "from the future"
    );
    store.record_failure("erp").await.expect("written");
    assert_eq!(resume(FINGERPRINT, ended).await, None, "not the last one");
    world.poll(&store, "erp").await.expect("recorded");
    assert!(resume(FINGERPRINT, ended).await.is_some());
}

#[tokio::test]
async fn answers_to_other_questions_record_nothing() {
    let store = memory();
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    world.later().internal.remove(20);
    let mut record = world.record("erp", None);
    record.answers = Answers::default();
    assert!(matches!(store.record(record).await, Err(Error::Unasked(_))));
    assert_eq!(store.errors(), 0);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(recorded.changes.len(), 1);
}

#[tokio::test]
async fn the_change_log_is_bounded_and_read_in_pages() {
    let limits = Limits {
        changes: 10,
        ..Limits::default()
    };
    let store = Store::open(Location::Memory, limits).expect("memory");
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    for person in 31..=45 {
        world.later().totp.insert(person);
        let previous = store.baseline("erp", Duration::MAX).await.expect("read");
        let mut record = world.record("erp", previous.as_deref());
        if person == 45 {
            let login = Some("kim@example.com".to_owned());
            let row = Person {
                active: true,
                created: Some(world.created),
                login,
            };
            record.answers.people.insert(person, row);
        }
        store.record(record).await.expect("recorded");
    }
    let whole = Range::default();
    let page = |after| Page {
        after,
        limit: 4,
        ..Page::default()
    };
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let rows = store
            .changes(vec!["erp".into()], whole, page(before))
            .await
            .expect("read");
        let Some(last) = rows.last() else { break };
        before = Some(last.at);
        seen.extend(rows);
    }
    let people: Vec<_> = seen.iter().filter_map(|row| row.person).collect();
    assert_eq!(people, (36..=45).rev().collect::<Vec<_>>());
    assert_eq!(seen[0].login.as_deref(), Some("kim@example.com"));
    assert!(seen[1..].iter().all(|row| row.login.is_none()));
    assert_eq!(seen[0].before.duration_since(seen[0].after).as_secs(), 300);
    assert_eq!(
        (seen[0].kind.as_str(), seen[0].detail.as_str()),
        ("mfa_enrolled", "totp")
    );

    // Only those of a time, and none that are too old.
    let since = Range {
        from: Some(world.now),
        to: None,
    };
    assert_eq!(
        store
            .changes(vec!["erp".into()], since, Page::default())
            .await
            .expect("read")
            .len(),
        1
    );
}

/// The clock was wrong once, by years: what it made look old is still there, and what is old goes bit by bit.
#[tokio::test]
async fn a_clock_that_jumps_ahead_deletes_nothing() {
    let store = memory();
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    let change = async |world: &mut World, person: u32| {
        world.later().totp.insert(person);
        world.poll(&store, "erp").await.expect("recorded");
    };
    for person in 31..=40 {
        change(&mut world, person).await;
    }
    let kept = async || {
        let whole = Range::default();
        let changes = store
            .changes(vec!["erp".into()], whole, Page::default())
            .await;
        let history = store.history("erp", whole).await;
        (changes.expect("read").len(), history.expect("read").len())
    };
    assert_eq!(kept().await, (10, 11));
    world.now += SignedDuration::from_hours(24 * 1000);
    change(&mut world, 41).await;
    assert_eq!(kept().await, (11, 12));
    // It is right again, and then wrong for two polls.
    world.now -= SignedDuration::from_hours(24 * 1000);
    change(&mut world, 42).await;
    assert_eq!(kept().await, (12, 13));
    world.now += SignedDuration::from_hours(24 * 1000);
    change(&mut world, 43).await;
    change(&mut world, 44).await;
    assert_eq!(
        kept().await.0,
        12,
        "a change takes two that are too old with it"
    );
}

#[tokio::test]
async fn a_break_is_logged_and_counted_and_no_storm() {
    let store = memory();
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    world.later().created += SignedDuration::from_hours(1);
    world.totp = (20..=50).collect();
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert!(recorded.found_break.is_some() && recorded.changes.is_empty());
    assert_eq!(
        (total(&recorded.counters), recorded.counters.breaks),
        (0, 1)
    );
    let rows = store
        .changes(vec!["erp".into()], Range::default(), Page::default())
        .await
        .expect("read");
    assert_eq!((rows.len(), rows[0].kind.as_str()), (1, "break"));
    assert!(
        rows[0].detail.starts_with("ids_reused: "),
        "{}",
        rows[0].detail
    );
    world.later().totp.remove(20);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(
        (total(&recorded.counters), recorded.counters.breaks),
        (1, 1)
    );
}

#[tokio::test]
async fn history_is_thinned_by_age() {
    let days = |days: u64| Duration::from_hours(24 * days);
    let limits = Limits {
        age: days(12),
        every_hour: days(4),
        every_poll: days(1),
        ..Limits::default()
    };
    let store = Store::open(Location::Memory, limits).expect("memory");
    let world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    let last = world.now.as_second() + 15 * 24 * 3600;
    store
        .call(move |connection, limits| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for at in (start().as_second()..=last).step_by(300) {
                let at = Timestamp::from_second(at).expect("a time");
                let numbers = Headline {
                    api_keys: Some(at.as_second().unsigned_abs()),
                    ..Headline::default()
                };
                history::add(&transaction, 1, at, &numbers, limits)?;
            }
            Ok(transaction.commit()?)
        })
        .await
        .expect("written");
    let rows = store.history("erp", Range::default()).await.expect("read");
    // 8 days by the day, 3 by the hour, 1 by the poll, and the last poll.
    assert_eq!(rows.len(), 8 + 3 * 24 + 288 + 1);
    let names = ["erp", "empty"].map(str::to_owned);
    let sampled = store
        .sampled(names.into(), Range::default(), days(1))
        .await
        .expect("read");
    let last_of_day = rows.chunk_by(|a, b| a.at.as_second() / 86_400 == b.at.as_second() / 86_400);
    let last_of_day: Vec<_> = last_of_day.filter_map(|day| day.last()).copied().collect();
    assert_eq!(sampled["erp"], last_of_day);
    assert_eq!(sampled["empty"], []);
    let at = |index: usize| rows[index].at.to_string();
    assert_eq!(
        [at(0), at(7), at(8), at(9)],
        [
            "2026-03-04T23:55:00Z",
            "2026-03-11T23:55:00Z",
            "2026-03-12T00:55:00Z",
            "2026-03-12T01:55:00Z"
        ]
    );
    assert_eq!(
        rows[9].numbers.api_keys,
        Some(rows[9].at.as_second().unsigned_abs())
    );
    let day = Range {
        from: Some("2026-03-05T00:00:00Z".parse().expect("a time")),
        to: Some("2026-03-06T00:00:00Z".parse().expect("a time")),
    };
    assert_eq!(store.history("erp", day).await.expect("read").len(), 1);
    assert_eq!(
        store.history("crm", Range::default()).await.expect("read"),
        []
    );
}

#[tokio::test]
async fn opaque_values_are_kept_by_kind_and_key() {
    let store = memory();
    store
        .save_state("alert", "b", Some(vec![1, 2]))
        .await
        .expect("written");
    store
        .save_state("alert", "a", Some(vec![0]))
        .await
        .expect("written");
    store
        .save_state("other", "a", Some(vec![9]))
        .await
        .expect("written");
    let changes = vec![("b".to_owned(), None), ("c".to_owned(), Some(vec![3]))];
    store.save_states("alert", changes).await.expect("written");
    let kept = store.load_state("alert").await.expect("read");
    assert_eq!(kept, [("a".to_owned(), vec![0]), ("c".to_owned(), vec![3])]);
}

#[tokio::test]
async fn the_file_is_read_beside_a_running_daemon() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(
        Reader::open(directory.path()).is_err(),
        "there is no file yet"
    );
    let store = open(directory.path());
    let mut world = World::new();
    world.poll(&store, "erp").await.expect("recorded");
    world.later().totp.remove(10);
    world.poll(&store, "erp").await.expect("recorded");
    let reader = Reader::open(directory.path()).expect("readable");
    assert_eq!(reader.targets().expect("read"), ["erp"]);
    let history = reader.history("erp", Range::default()).expect("read");
    let changes = reader
        .changes("erp", Range::default(), Page::default())
        .expect("read");
    insta::assert_snapshot!(render(&history, Format::Table), @r#"
                                                                                        PRIVILEGED                           ADMINISTRATORS        KEYS      KEYS
                          INTERNAL   INTERNAL    PORTAL     PORTAL                         WITHOUT   API  TRUSTED  PASSWORD         WITHOUT          OF        OF
    AT                    ELIGIBLE  PROTECTED  ELIGIBLE  PROTECTED  EXEMPT  PRIVILEGED         MFA  KEYS  DEVICES       RPC             MFA  PRIVILEGED  ARCHIVED
    2026-03-01T00:00:00Z        55         25      1000          0       0           2           1     2        -      1030               1           1         0
    2026-03-01T00:05:00Z        55         24      1000          0       0           2           1     2        -      1031               1           1         0
    "#);
    insta::assert_snapshot!(render(&changes, Format::Table), @r#"
                                                                                   USER             API
    TARGET  SEQ  AFTER                 BEFORE                KIND          PERSON  TYPE      LOGIN  KEY  DETAIL
    erp       1  2026-03-01T00:00:00Z  2026-03-01T00:05:00Z  mfa_disabled      10  internal      -    -  totp
    "#);
    insta::assert_snapshot!(render(&changes, Format::Csv), @r#"
    target,seq,after,before,kind,person,user_type,login,api_key,detail
    erp,1,2026-03-01T00:00:00Z,2026-03-01T00:05:00Z,mfa_disabled,10,internal,,,totp
    "#);
    insta::assert_snapshot!(render(&history[..1], Format::Json), @r#"
    [
      {
        "at": "2026-03-01T00:00:00Z",
        "internal_eligible": 55,
        "internal_protected": 25,
        "portal_eligible": 1000,
        "portal_protected": 0,
        "exempt": 0,
        "privileged": 2,
        "privileged_without_mfa": 1,
        "api_keys": 2,
        "trusted_devices": null,
        "password_rpc": 1030,
        "administrators_without_mfa": 1,
        "keys_of_privileged": 1,
        "keys_of_archived": 0
      }
    ]
    "#);
}

#[tokio::test]
async fn roles_are_kept_by_the_day_and_the_log_of_all_targets_is_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mut world = World::new();
    for _ in 0..3 {
        for target in ["erp", "crm"] {
            world.poll(&store, target).await.expect("recorded");
        }
        world.later().totp.remove(10);
        for target in ["erp", "crm"] {
            world.poll(&store, target).await.expect("recorded");
        }
        world.later().totp.insert(10);
    }
    let days = store.roles("erp", Range::default()).await.expect("read");
    assert_eq!(days.len(), 1, "the polls of a day are one row");
    let posture = world.record("erp", None).posture;
    let roles = &posture.privileged.as_ref().expect("known").roles;
    assert_eq!(days[0].1.len(), roles.len());
    assert_eq!(days[0].1[0].users, roles[0].people);

    let both = || vec!["erp".to_owned(), "crm".to_owned()];
    let all = store
        .changes(both(), Range::default(), Page::default())
        .await
        .expect("read");
    assert!(all.is_sorted_by(|a, b| a.before >= b.before), "{all:#?}");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = Page {
            after,
            limit: 2,
            ..Page::default()
        };
        let rows = store
            .changes(both(), Range::default(), page)
            .await
            .expect("read");
        let Some(last) = rows.last() else { break };
        after = Some(last.at);
        seen.extend(rows);
    }
    assert_eq!(seen, all);
    let page = Page {
        kinds: vec!["mfa_disabled".parse().expect("a kind")],
        ..Page::default()
    };
    let lost = store
        .changes(vec!["crm".into()], Range::default(), page)
        .await
        .expect("read");
    let same = |row: &&ChangeRow| row.target == "crm" && row.kind == "mfa_disabled";
    assert_eq!(lost, all.iter().filter(same).cloned().collect::<Vec<_>>());
    assert!(!lost.is_empty());
}

#[test]
fn text_from_odoo_steers_neither_a_terminal_nor_a_spreadsheet() {
    let row = ChangeRow {
        target: "erp".into(),
        at: Cursor::default(),
        seq: 1,
        after: start(),
        before: start(),
        kind: "joined".into(),
        person: Some(7),
        user_type: None,
        login: Some("=cmd(\"x\"),\u{1b}[31m".into()),
        api_key: None,
        detail: String::new(),
    };
    assert!(!render(std::slice::from_ref(&row), Format::Table).contains('\u{1b}'));
    let csv = render(&[row], Format::Csv);
    assert!(csv.contains(",\"'=cmd(\"\"x\"\"),"), "{csv}");
}
