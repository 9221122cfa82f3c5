//! The life of alerts as properties of any course of events, and the arithmetic of losses.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const RULE: Rule = Rule::AdminWithoutMfa;
const START: Timestamp = Timestamp::constant(1_795_487_400, 0);

/// Result of one evaluation of the one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Active,
    Inactive,
    Held,
}

/// Outcome of an evaluation of the alert.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    outcome: Outcome,
    at: Timestamp,
    event: Option<Event>,
    state: Option<State>,
}

fn alert() -> Active {
    Active {
        rule: RULE,
        labels: labels(
            &Rules::default(),
            RULE,
            None,
            None,
            &[("target", "erp".into())],
        ),
        value: 1.0,
        detail: Detail::default(),
        people: None,
    }
}

fn rules(hold: u64, keep: u64) -> Rules {
    let mut rules = Rules::default();
    rules.get_mut(RULE).hold = Duration::from_secs(hold);
    rules.get_mut(RULE).keep_firing = Duration::from_secs(keep);
    rules
}

/// Runs a course; after the looks that `restart` names, only what is serialised is left.
fn run(course: &[(Outcome, u64)], rules: &Rules, restart: impl Fn(usize) -> bool) -> Vec<Seen> {
    let mut states = States::new();
    let mut now = START;
    let fingerprint = Fingerprint::of(&alert().labels);
    let mut seen = Vec::new();
    for (index, (outcome, later)) in course.iter().enumerate() {
        now += SignedDuration::from_secs(*later as i64);
        let mut evaluation = Evaluation::default();
        match outcome {
            Outcome::Active => {
                evaluation.active.insert(fingerprint, alert());
            }
            Outcome::Held => evaluation.held.hold(RULE, "erp"),
            Outcome::Inactive => {}
        }
        let events = step(&mut states, evaluation, rules, now);
        seen.push(Seen {
            outcome: *outcome,
            at: now,
            event: events.first().map(|(_, event)| *event),
            state: states.get(&fingerprint).cloned(),
        });
        if restart(index) {
            let text = serde_json::to_vec(&states.values().collect::<Vec<_>>()).expect("JSON");
            let kept: Vec<State> = serde_json::from_slice(&text).expect("its own JSON");
            let keyed = kept.into_iter().map(|it| (Fingerprint::of(&it.labels), it));
            states = keyed.collect();
        }
    }
    seen
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Active), 2 => Just(Outcome::Inactive), 2 => Just(Outcome::Held)]
}

fn course() -> impl Strategy<Value = Vec<(Outcome, u64)>> {
    prop::collection::vec((outcome(), 0_u64..400), 1..60)
}

proptest! {
    #[test]
    fn it_fires_only_while_active_and_only_after_its_time(course in course(), hold in 0_u64..1000, keep in 0_u64..1000) {
        let seen = run(&course, &rules(hold, keep), |_| false);
        for (index, one) in seen.iter().enumerate() {
            if one.event == Some(Event::Fired) {
                prop_assert_eq!(one.outcome, Outcome::Active);
                let state = one.state.as_ref().expect("it is there");
                let waited = one.at.duration_since(state.active_since).as_secs();
                prop_assert!(waited >= hold as i64);
                let since = seen[..index].iter().filter(|it| it.at > state.active_since);
                prop_assert!(since.into_iter().all(|it| it.outcome != Outcome::Inactive), "it was inactive in between");
            }
        }
    }

    #[test]
    fn what_is_held_neither_fires_resolves_nor_starts_anew(course in course(), hold in 0_u64..1000, keep in 0_u64..1000) {
        let kept = |seen: &Seen| serde_json::to_value(&seen.state).expect("JSON");
        let seen = run(&course, &rules(hold, keep), |_| false);
        for pair in seen.windows(2) {
            let [before, now] = pair else { unreachable!() };
            let resolved = before.state.as_ref().is_some_and(|it| it.phase() == Phase::Resolved);
            if now.outcome == Outcome::Held && !resolved {
                prop_assert_eq!(now.event, None);
                prop_assert_eq!(kept(now), kept(before));
            }
        }
        // Held evaluations do not change its start: for the next active one, the time is still running.
        for one in &seen {
            if one.outcome == Outcome::Active
                && let Some(state) = one.state.as_ref().filter(|it| it.phase() == Phase::Pending)
            {
                prop_assert!(one.at.duration_since(state.active_since).as_secs() < hold as i64, "it waits too long");
            }
        }
    }

    #[test]
    fn it_ends_only_when_seen_inactive_for_as_long_as_it_is_to_be_kept(course in course(), hold in 0_u64..300, keep in 0_u64..1000) {
        let seen = run(&course, &rules(hold, keep), |_| false);
        for (index, one) in seen.iter().enumerate() {
            if one.event == Some(Event::Resolved) {
                prop_assert_eq!(one.outcome, Outcome::Inactive);
                let since = one.state.as_ref().and_then(|it| it.keep_firing_since).expect("it was kept");
                prop_assert!(one.at.duration_since(since).as_secs() >= keep as i64);
                let kept = seen[..index].iter().filter(|it| it.at > since);
                prop_assert!(kept.into_iter().all(|it| it.outcome != Outcome::Active), "it was active in between");
            }
        }
    }

    #[test]
    fn events_follow_each_other_as_a_life_does(course in course(), hold in 0_u64..1000, keep in 0_u64..1000) {
        let mut phase = None;
        for one in run(&course, &rules(hold, keep), |_| false) {
            let next = one.state.as_ref().map(State::phase);
            let legal = match one.event {
                None | Some(Event::Changed) => next == phase,
                Some(Event::Pending) => matches!(phase, None | Some(Phase::Resolved)) && next == Some(Phase::Pending),
                Some(Event::Fired) => phase != Some(Phase::Firing) && next == Some(Phase::Firing),
                Some(Event::Kept) => phase == Some(Phase::Firing) && next == Some(Phase::Firing),
                Some(Event::Resolved) => phase == Some(Phase::Firing) && next == Some(Phase::Resolved),
                Some(Event::Gone) => matches!(phase, Some(Phase::Pending | Phase::Resolved)) && next.is_none(),
            };
            prop_assert!(legal, "{:?} from {:?} to {:?}", one.event, phase, next);
            phase = next;
        }
    }

    #[test]
    fn a_restart_between_any_two_evaluations_changes_nothing(course in course(), hold in 0_u64..1000, keep in 0_u64..1000, restarts in any::<u64>()) {
        let rules = rules(hold, keep);
        let steady = run(&course, &rules, |_| false);
        prop_assert_eq!(steady, run(&course, &rules, |index| restarts >> (index % 64) & 1 == 1));
    }

    #[test]
    fn it_is_remembered_for_a_quarter_of_an_hour_after_its_end(course in course()) {
        for one in run(&course, &rules(0, 0), |_| false) {
            let resolved = one.state.as_ref().and_then(|it| it.resolved_at);
            if let Some(at) = resolved {
                prop_assert!(one.at.duration_since(at) < SignedDuration::from_mins(15));
            }
        }
    }
}

#[test]
fn a_rule_that_is_gone_resolves_even_while_its_target_is_down() {
    let mut states = States::new();
    let fingerprint = Fingerprint::of(&alert().labels);
    let active = Evaluation {
        active: [(fingerprint, alert())].into(),
        ..Evaluation::default()
    };
    step(&mut states, active, &rules(0, 0), START);
    // A switched-off rule is neither active nor held.
    let events = step(&mut states, Evaluation::default(), &rules(0, 0), START);
    assert_eq!(events, [(fingerprint, Event::Resolved)]);
}

#[test]
fn templates_fill_in_labels_and_the_value() {
    let template: Template = "{{ $labels.target }}: {{$value}} {{ $labels.none }}!"
        .parse()
        .expect("a template");
    assert_eq!(template.fill(&alert().labels, 0.5), "erp: 0.5 !");
    for wrong in [
        "{{ .Value }}",
        "{{ $labels. }}",
        "{{ $value",
        "{{ $labels.a-b }}",
    ] {
        assert_eq!(wrong.parse::<Template>(), Err(InvalidTemplate), "{wrong}");
    }
}

#[test]
fn the_fingerprint_is_alertmanagers() {
    // As a real one answers for these labels.
    let labels = [("alertname", "x"), ("severity", "critical")];
    assert_eq!(
        Fingerprint::of(&labels.into_iter().collect()).to_string(),
        "2531c3c2583840d8"
    );
}
