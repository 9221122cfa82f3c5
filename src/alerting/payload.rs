//! Bodies of requests, in Alertmanager's two formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Notification;
use crate::domain::alert::{Fingerprint, Labels};

/// The body of `POST /api/v2/alerts`.
pub(super) fn alertmanager(batch: &[Arc<Notification>]) -> Value {
    let alert = |it: &Arc<Notification>| {
        json!({
            "labels": it.labels, "annotations": it.annotations,
            "startsAt": it.starts_at, "endsAt": it.ends_at,
            "generatorURL": it.generator_url,
        })
    };
    batch.iter().map(alert).collect()
}

/// The alerts of one message to a webhook: those of one name and target.
pub(super) fn groups(batch: Vec<Arc<Notification>>) -> Vec<Vec<Arc<Notification>>> {
    let mut groups: BTreeMap<Labels, Vec<Arc<Notification>>> = BTreeMap::new();
    for notification in batch {
        groups
            .entry(group_labels(&notification))
            .or_default()
            .push(notification);
    }
    groups.into_values().collect()
}

/// The message of Alertmanager to a webhook: the body's version 4. `group` is not empty.
pub(super) fn webhook(receiver: &str, group: &[Arc<Notification>]) -> Value {
    let status = |resolved| if resolved { "resolved" } else { "firing" };
    let alert = |it: &Arc<Notification>| {
        // Of an alert that fires, Alertmanager gives no end.
        let ends_at = if it.resolved {
            it.ends_at.to_string()
        } else {
            "0001-01-01T00:00:00Z".to_owned()
        };
        json!({
            "status": status(it.resolved),
            "labels": it.labels, "annotations": it.annotations,
            "startsAt": it.starts_at, "endsAt": ends_at,
            "generatorURL": it.generator_url, "fingerprint": it.fingerprint.to_string(),
        })
    };
    let labels = group.first().map(|it| group_labels(it)).unwrap_or_default();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{{:?}}}", Fingerprint::of(&labels).to_string()),
        "truncatedAlerts": 0,
        "status": status(group.iter().all(|it| it.resolved)),
        "receiver": receiver,
        "groupLabels": labels,
        "commonLabels": common(group.iter().map(|it| it.labels.to_map())),
        "commonAnnotations": common(group.iter().map(|it| it.annotations.clone())),
        "externalURL": "",
        "alerts": group.iter().map(alert).collect::<Value>(),
    })
}

fn group_labels(notification: &Notification) -> Labels {
    let labels = notification.labels.iter();
    labels
        .filter(|(name, _)| ["alertname", "target"].contains(name))
        .collect()
}

fn common(mut all: impl Iterator<Item = BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut common = all.next().unwrap_or_default();
    for one in all {
        common.retain(|name, value| one.get(name) == Some(value));
    }
    common
}
