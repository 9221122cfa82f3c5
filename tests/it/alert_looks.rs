//! Looks at a fleet that spare what did not change find what looks at everything find.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::alert::{
    Event, ExporterView, Fingerprint, FleetView, Memory, Rule, Rules, State, States, TargetView,
    Transition, Transitions, evaluate, step,
};
use odoo_mfa_exporter::domain::posture::Posture;
use odoo_mfa_exporter::domain::{IdSet, TargetSnapshot, UserType};
use proptest::prelude::*;

use crate::harness::snapshots::{down, partly_blind, pending, posture, up};

const NAME: &str = "erp";

/// What comes before a look.
#[derive(Debug, Clone)]
enum News {
    Nothing,
    Poll(Poll),
    Transition(Transition),
    /// Only what is serialised is left.
    Restart,
}

/// What a poll found.
#[derive(Debug, Clone)]
enum Poll {
    Failed,
    /// The account may see less.
    Blind,
    Good {
        protected: u64,
        archived_keys: u64,
        key_ends_in: Option<i64>,
    },
}

fn poll() -> impl Strategy<Value = Poll> {
    let good = (
        prop_oneof![Just(40u64), Just(86), Just(87), Just(95)],
        0u64..2,
        prop::option::of(0i64..20),
    );
    let good = good.prop_map(|(protected, archived_keys, key_ends_in)| Poll::Good {
        protected,
        archived_keys,
        key_ends_in,
    });
    prop_oneof![1 => Just(Poll::Failed), 1 => Just(Poll::Blind), 3 => good]
}

fn news() -> impl Strategy<Value = News> {
    let transition = prop::sample::select(Transition::ALL).prop_map(News::Transition);
    prop_oneof![6 => Just(News::Nothing), 3 => poll().prop_map(News::Poll), 1 => transition, 1 => Just(News::Restart)]
}

fn snapshot(poll: &Poll, now: Timestamp) -> TargetSnapshot {
    let mut target = match poll {
        Poll::Failed => down(NAME),
        Poll::Blind => partly_blind(NAME),
        Poll::Good {
            protected,
            archived_keys,
            ..
        } => {
            let mut numbers = posture();
            if let Posture {
                protected: Some(people),
                keys: Some(keys),
                ..
            } = &mut numbers
            {
                people[UserType::Internal] = *protected;
                keys.of_archived = *archived_keys;
            }
            TargetSnapshot {
                posture: Some(Arc::new(numbers)),
                ..up(NAME)
            }
        }
    };
    if let Poll::Good { key_ends_in, .. } = poll {
        target.health.last_success = Some(now);
        target.poller_key_expiry =
            key_ends_in.map(|days| now + SignedDuration::from_hours(24 * days));
    }
    target
}

/// One who looks, at everything or only at what changed.
struct Looker {
    spares: bool,
    memory: Memory,
    states: States,
    /// Another target, of which there is never anything new.
    neighbour: TargetSnapshot,
}

impl Looker {
    fn new(spares: bool) -> Self {
        Self {
            spares,
            memory: Memory::default(),
            states: States::new(),
            neighbour: up("neighbour"),
        }
    }

    fn look(
        &mut self,
        news: &News,
        target: &TargetSnapshot,
        rules: &Rules,
        now: Timestamp,
    ) -> Vec<(Fingerprint, Event)> {
        match news {
            News::Poll(_) => {
                self.memory.forget(now);
                if let Some(posture) = &target.posture {
                    self.memory.note(posture, now);
                }
            }
            News::Transition(kind) => self.memory.happened(&Transitions {
                target: NAME.into(),
                kind: *kind,
                count: 3,
                people: IdSet::from([7]),
                at: now,
            }),
            News::Restart => {
                let text = serde_json::to_vec(&self.states.values().collect::<Vec<_>>());
                let kept: Vec<State> =
                    serde_json::from_slice(&text.expect("JSON")).expect("its own JSON");
                let keyed = kept.into_iter().map(|it| (Fingerprint::of(&it.labels), it));
                self.states = keyed.collect();
            }
            News::Nothing => {}
        }
        let restarted = matches!(news, News::Restart);
        let fleet = FleetView {
            targets: &[
                TargetView {
                    snapshot: target,
                    memory: &self.memory,
                    unchanged: self.spares && !restarted && !matches!(news, News::Poll(_)),
                },
                TargetView {
                    snapshot: &self.neighbour,
                    memory: &Memory::default(),
                    unchanged: self.spares && !restarted && !self.states.is_empty(),
                },
            ],
            exporter: ExporterView::default(),
        };
        let evaluation = evaluate(rules, &fleet, &self.states, now);
        step(&mut self.states, evaluation, rules, now)
    }
}

proptest! {
    #[test]
    fn what_did_not_change_need_not_be_looked_at(
        looks in prop::collection::vec((news(), -300i64..2400), 1..60),
        keep in 0u64..3000,
    ) {
        let mut rules = Rules::default();
        for rule in Rule::ALL {
            rules.get_mut(*rule).keep_firing = Duration::from_secs(keep);
        }
        let (mut sparing, mut thorough) = (Looker::new(true), Looker::new(false));
        let mut now: Timestamp = "2026-11-24T05:00:00Z".parse().expect("a timestamp");
        let mut target = pending(NAME);
        let first = News::Poll(Poll::Failed);
        prop_assert_eq!(
            sparing.look(&first, &target, &rules, now),
            thorough.look(&first, &target, &rules, now)
        );
        for (news, later) in &looks {
            now += SignedDuration::from_secs(*later);
            if let News::Poll(poll) = news {
                target = snapshot(poll, now);
            }
            let (some, all) = (
                sparing.look(news, &target, &rules, now),
                thorough.look(news, &target, &rules, now),
            );
            prop_assert_eq!(some, all, "after {:?}", news);
            prop_assert_eq!(&sparing.states, &thorough.states, "after {:?}", news);
        }
    }
}
