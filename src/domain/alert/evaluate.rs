//! The evaluation of all rules on the fleet at one moment.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::judge::{Case, Judge, Label};
use super::{
    Active, Concern, Detail, Evaluation, Fingerprint, FleetView, Labels, ORIGIN, Phase, Rule,
    Rules, Severity, States,
};
use crate::domain::snapshot::Identity;
use crate::domain::transition::RecentTransition;
use crate::domain::{IdSet, Reason, TargetSnapshot};

/// Evaluates all rules on the fleet. `states` are the alerts as they are: an alert on coverage that fires ends a little above where it began.
pub fn evaluate(rules: &Rules, view: &FleetView, states: &States, now: Timestamp) -> Evaluation {
    let mut evaluation = Evaluation::default();
    for target in view.targets {
        for rule in Rule::ALL.iter().filter(|rule| rule.is_of_targets()) {
            if rules.applies(*rule, &target.identity) {
                evaluate_target(rules, *rule, target, states, now, &mut evaluation);
            }
        }
    }
    evaluate_exporter(rules, view, states, &mut evaluation);
    evaluation
}

fn evaluate_target(
    rules: &Rules,
    rule: Rule,
    target: &TargetSnapshot,
    states: &States,
    now: Timestamp,
    evaluation: &mut Evaluation,
) {
    let identity = &target.identity;
    let labels = |own: &[Label], severity| labels(rules, rule, severity, Some(identity), own);
    let judge = Judge {
        target,
        threshold: rules.get(rule).threshold,
        now,
        firing: &|own| {
            let state = states.get(&Fingerprint::of(&labels(own, None)));
            state.is_some_and(|state| state.phase() == Phase::Firing)
        },
    };
    let verdict = judge.judge(rule);
    if verdict.all_unknown {
        evaluation.held.hold(rule, &identity.name);
    }
    for own in &verdict.unknown {
        let fingerprint = Fingerprint::of(&labels(own, None));
        evaluation.held.hold_alert(fingerprint);
    }
    for case in verdict.cases {
        let people = case.concern.as_ref().map(|it| people(it, target));
        let labels = labels(&case.labels, case.severity);
        let failing = target.failing();
        evaluation.add(rule, labels, case, people, failing, states);
    }
}

fn people(concern: &Concern, target: &TargetSnapshot) -> IdSet {
    let transition = match concern {
        Concern::PrivilegedDisabled => RecentTransition::PrivilegedDisabled,
        Concern::Disabled => RecentTransition::Disabled,
        Concern::NewlyPrivileged => RecentTransition::PrivilegeGranted,
        _ => {
            let known = target.concerned.get(concern);
            return known.cloned().unwrap_or_default();
        }
    };
    let recent = target.recent.as_deref();
    recent.map_or_else(IdSet::new, |recent| recent.people(transition))
}

fn evaluate_exporter(
    rules: &Rules,
    view: &FleetView,
    states: &States,
    evaluation: &mut Evaluation,
) {
    let exporter = &view.exporter;
    let mut add = |rule: Rule, value: f64, own: &[Label]| {
        if rules.get(rule).enabled {
            let labels = labels(rules, rule, None, None, own);
            let case = Case::plain(value, own.to_vec());
            evaluation.add(rule, labels, case, None, None, states);
        }
    };
    add(Rule::Watchdog, 1.0, &[]);
    if exporter.config_rejected {
        add(Rule::ConfigReloadFailed, 0.0, &[]);
    }
    if exporter.web_config_rejected {
        add(Rule::WebConfigRejected, 0.0, &[]);
    }
    for receiver in exporter.failing_receivers {
        let own = [("alertmanager", receiver.clone().into())];
        add(Rule::NotificationsFailing, 1.0, &own);
    }
    let errors = exporter.store_errors as f64;
    if errors > 0.0 && errors >= rules.get(Rule::StoreFailing).threshold {
        add(Rule::StoreFailing, errors, &[]);
    }
    add_blind(rules, view, states, evaluation);
}

/// Labels that distinguish environments: each has its own targets, in the Prometheus rules too.
pub const ENVIRONMENT: [&str; 8] = [
    "cluster",
    "datacenter",
    "env",
    "environment",
    "region",
    "stage",
    "tenant",
    "zone",
];

fn add_blind(rules: &Rules, view: &FleetView, states: &States, evaluation: &mut Evaluation) {
    if !rules.get(Rule::FleetBlind).enabled {
        return;
    }
    let mut fleets: BTreeMap<Vec<&(String, String)>, Vec<Option<bool>>> = BTreeMap::new();
    for target in view.targets {
        let labels = target.identity.labels.iter();
        let labels = labels.filter(|(name, _)| ENVIRONMENT.contains(&name.as_str()));
        fleets
            .entry(labels.collect())
            .or_default()
            .push(target.up());
    }
    for (environment, ups) in fleets {
        let down = ups.iter().filter(|up| **up == Some(false)).count();
        let share = down as f64 / ups.len() as f64;
        let own = labels(rules, Rule::FleetBlind, None, None, &[]);
        let environment = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = environment.chain(own.iter()).collect();
        if ups.len() >= 4 && share > rules.get(Rule::FleetBlind).threshold {
            let case = Case::plain(1.0 - share, Vec::new());
            evaluation.add(Rule::FleetBlind, labels, case, None, None, states);
        } else if ups.iter().any(Option::is_none) {
            evaluation.held.hold_alert(Fingerprint::of(&labels));
        }
    }
}

/// The labels of an alert. `severity` is the rule's own word for this case; the configuration's goes before it.
pub fn labels(
    rules: &Rules,
    rule: Rule,
    severity: Option<Severity>,
    target: Option<&Identity>,
    own: &[Label],
) -> Labels {
    let settings = rules.get(rule);
    let severity = settings.severity.or(severity).unwrap_or(rule.severity());
    let fixed = [
        ("alertname", rule.as_str()),
        ("severity", severity.as_str()),
        ORIGIN,
    ];
    let configured = settings.labels.iter();
    let of_target = target.iter().flat_map(|target| {
        let labels = target.labels.iter();
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str()));
        labels.chain([("target", target.name.as_str())])
    });
    configured
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(of_target)
        .chain(fixed)
        .chain(own.iter().map(|(name, value)| (*name, value.as_ref())))
        .collect()
}

impl Evaluation {
    fn add(
        &mut self,
        rule: Rule,
        labels: Labels,
        case: Case,
        people: Option<IdSet>,
        failing: Option<Reason>,
        states: &States,
    ) {
        let fingerprint = Fingerprint::of(&labels);
        let known = states.get(&fingerprint).map(|state| state.labels.clone());
        let active = Active {
            rule,
            labels: known.unwrap_or(labels),
            value: case.value,
            detail: Detail {
                failing: failing.filter(|_| rule == Rule::TargetDown),
                before_after: case.before_after.map(Box::new),
            },
            people,
        };
        self.active.insert(fingerprint, active);
    }
}
