//! From the tree to the accepted findings.

use std::sync::Arc;

use crate::config::Target;
use crate::config::reader::{Fields, Item};
use crate::config::schema;
use crate::domain::acceptance::Acceptance;
use crate::domain::exemption::Glob;
use crate::domain::finding::{Kind, OF_ALL_TARGETS};

/// The entries, those that are right.
pub(super) fn accept_findings(root: &Fields<'_>, targets: &[Arc<Target>]) -> Vec<Acceptance> {
    let list = root.get("accept_findings").and_then(|item| item.list());
    let entries = list.into_iter().flatten();
    entries
        .filter_map(|item| acceptance(&item, targets))
        .collect()
}

fn acceptance(item: &Item<'_>, targets: &[Arc<Target>]) -> Option<Acceptance> {
    let fields = item.fields(&schema::ACCEPTANCE)?;
    let finding = fields
        .require("finding", "trusted_devices")
        .and_then(|item| finding(&item));
    let reason = fields.require("reason", "why it is accepted");
    let reason = reason.and_then(|item| item.text());
    let list = fields.get("targets");
    let patterns = list.map_or(Some(Vec::new()), |item| patterns(&item, targets));
    let text = |name| Some(fields.get(name)?.text()?.to_owned());
    let expires = fields.get("expires").map(|item| item.date());
    Some(Acceptance {
        finding: finding?,
        subject: text("subject"),
        targets: patterns?,
        reason: reason?.to_owned(),
        approved_by: text("approved_by"),
        ticket: text("ticket"),
        expires: expires.flatten(),
    })
}

fn finding(item: &Item<'_>) -> Option<Kind> {
    match item.word()? {
        Kind::CapabilityMissing => item.fail(
            "cannot be accepted here: what is unknown stays unknown",
            "name the capability in the target's `accept_missing`",
        ),
        kind if OF_ALL_TARGETS.contains(&kind) => item.fail(
            "cannot be accepted: it is about `accept_findings` itself",
            "correct or remove the entry that it names",
        ),
        kind => Some(kind),
    }
}

fn patterns(item: &Item<'_>, targets: &[Arc<Target>]) -> Option<Vec<Glob>> {
    let list = item.list()?;
    if list.is_empty() {
        return item.fail(
            "is empty",
            "name targets, or remove the line for every target",
        );
    }
    let pattern = |entry: &Item<'_>| {
        let Ok(glob) = entry.text()?.parse::<Glob>() else {
            return entry.fail("matches every target", "remove `targets`");
        };
        if !targets.iter().any(|target| glob.matches(&target.name)) {
            entry.warn("matches no target", "correct the name, or remove it");
        }
        Some(glob)
    };
    list.iter().map(pattern).collect()
}
