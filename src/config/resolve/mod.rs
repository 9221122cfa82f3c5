//! From the tree to the configuration: everything but the targets, which are `targets`' part.

mod acceptance;
pub(super) mod alerting;
pub(super) mod material;
mod targets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::contract::{FAMILIES, RESERVED_LABELS};
use super::diagnostic::{Position, Sink};
use super::env::Env;
use super::reader::{Fields, Item, did_you_mean, suggestion};
use super::schema;
use super::yaml::{Node, Value};
use super::{Config, Metrics, Privacy, Web, fnv1a};
use crate::domain::exemption::Glob;
use crate::domain::role::Roles;

/// Inputs of resolving, in addition to the tree.
pub(super) struct Context<'a> {
    env: &'a dyn Env,
    /// Relative paths start here.
    directory: PathBuf,
    pub(super) sink: &'a Sink,
}

impl<'a> Context<'a> {
    /// For the file at a path.
    pub(super) fn new(env: &'a dyn Env, path: &Path, sink: &'a Sink) -> Self {
        Self {
            env,
            directory: path.parent().unwrap_or(Path::new("")).to_owned(),
            sink,
        }
    }
}

/// Resolves the tree. Errors are reported to `sink`, and the result must be dropped then.
pub(super) fn resolve(root: &Node, path: &Path, env: &dyn Env, sink: &Sink) -> Option<Config> {
    let context = Context::new(env, path, sink);
    if matches!(root.value, Value::Null) {
        sink.error(
            root.at,
            "the configuration is empty",
            "start with `targets:`",
        );
        return None;
    }
    let root = Item::root(root, sink);
    let fields = root.fields(&schema::ROOT)?;
    let roles = fields
        .get("privileged_roles")
        .map(|item| roles(item))
        .unwrap_or_default();
    let targets = targets::targets(&fields, &roles, &context);
    let accept_findings = acceptance::accept_findings(&fields, &targets);
    let mut config = Config {
        targets,
        roles,
        accept_findings,
        organization: section(&fields, "report", &schema::REPORT, |report| {
            let organization = report.get("organization");
            organization.and_then(|item| item.text()).map(str::to_owned)
        }),
        privacy: section(&fields, "privacy", &schema::PRIVACY, privacy),
        alerting: section(&fields, "alerting", &schema::ALERTING, |inner| {
            alerting::alerting(inner, &context)
        }),
        web: section(&fields, "web", &schema::WEB, web),
        metrics: section(&fields, "metrics", &schema::METRICS, metrics),
        hash: 0,
    };
    // Debug output shows everything but secrets.
    config.hash = fnv1a(format!("{config:?}").as_bytes()) & 0xffff_ffff_ffff;
    Some(config)
}

fn section<T: Default>(
    fields: &Fields<'_>,
    name: &'static str,
    declared: &'static schema::Section,
    read: impl Fn(&Fields<'_>) -> T,
) -> T {
    fields
        .get(name)
        .and_then(|item| item.fields(declared))
        .map(|inner| read(&inner))
        .unwrap_or_default()
}

fn roles(item: Item<'_>) -> Roles {
    let mut roles = Roles::default();
    for (key, groups) in item.entries() {
        let word = key.name.starts_with(|c: char| c.is_ascii_lowercase())
            && key
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !word || ["administrators", "all", "any", "total"].contains(&key.name.as_str()) {
            item.sink.error(
                key.at,
                format!("`{}` is not a valid name of a role", key.name),
                "use lower case letters, digits and `_`, but not `administrators`, `all`, `any` or `total`",
            );
        }
        let Some(list) = groups.list() else { continue };
        if list.is_empty() && !roles.contains(&key.name) {
            let known: Vec<_> = roles.iter().map(|(role, _)| role).collect();
            groups.fail::<()>(
                "is not a role, so it cannot be removed",
                suggestion(&key.name, &known),
            );
        }
        roles.set(
            key.name.as_str(),
            list.iter().filter_map(Item::xml_id).collect(),
        );
    }
    roles
}

fn privacy(fields: &Fields<'_>) -> Privacy {
    let flag = |name| {
        fields
            .get(name)
            .and_then(|item| item.flag())
            .unwrap_or_default()
    };
    Privacy {
        names_in_alerts: flag("names_in_alerts"),
        store_logins: flag("store_logins"),
    }
}

fn web(fields: &Fields<'_>) -> Web {
    let external_url = fields
        .get("external_url")
        .and_then(|item| item.url(&["https", "http"], false));
    let roles = section(fields, "roles", &schema::WEB_ROLES, |roles| {
        let readers = |name| {
            let list = roles.get(name).and_then(|item| item.list());
            list.map(|list| list.iter().filter_map(|item| reader(name, item)).collect())
        };
        Web {
            scrape: readers("scrape"),
            read: readers("read"),
            read_names: readers("read_names").unwrap_or_default(),
            ..Web::default()
        }
    });
    Web {
        external_url: external_url.map(with_slash),
        ..roles
    }
}

fn reader(role: &str, item: &Item<'_>) -> Option<String> {
    match item.text()? {
        "*" if role == "read_names" => item.fail(
            "includes all clients",
            "readers of names must sign in: list them",
        ),
        "certificate:" => item.fail("does not name a certificate", "write `certificate:NAME`"),
        text => match text.split_once(':') {
            Some((before, _)) if before != "certificate" => item.fail(
                "names a user who cannot exist: names of users have no `:`",
                "write a client certificate as `certificate:NAME`",
            ),
            _ => Some(text.to_owned()),
        },
    }
}

fn metrics(fields: &Fields<'_>) -> Metrics {
    let mut disabled = BTreeSet::new();
    for item in fields
        .get("disable")
        .and_then(|item| item.list())
        .unwrap_or_default()
    {
        let Some(pattern) = item.text() else { continue };
        if pattern == "odoo_up" {
            item.fail::<()>(
                "cannot disable `odoo_up`",
                "without it, a target that is down would go unnoticed",
            );
            continue;
        }
        let glob = pattern.parse::<Glob>().ok();
        let fits = |family: &&&str| {
            **family != "odoo_up" && glob.as_ref().is_some_and(|glob| glob.matches(family))
        };
        let fitting: Vec<_> = FAMILIES.iter().filter(fits).copied().collect();
        if fitting.is_empty() {
            let hint = did_you_mean(pattern, FAMILIES).unwrap_or_else(|| {
                "docs/metrics.md lists them; `*` stands for any text".to_owned()
            });
            item.fail::<()>("matches no metric family", hint);
        }
        disabled.extend(fitting);
    }
    Metrics { disabled }
}

/// Labels by name, without those that the contract keeps for itself.
fn labels(item: Item<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in item.entries() {
        if key.name.starts_with("__") || RESERVED_LABELS.contains(&key.name.as_str()) {
            item.sink.error(
                key.at,
                format!("the exporter or Prometheus uses the label `{}`", key.name),
                format!(
                    "choose another name, such as `my_{}`",
                    key.name.trim_start_matches('_')
                ),
            );
        }
        if let Some(text) = label_name(key.at, &key.name, &value) {
            labels.insert(key.name.clone(), text);
        }
    }
    labels
}

/// Checks a label's or annotation's name and gives the value.
fn label_name(at: Position, name: &str, value: &Item<'_>) -> Option<String> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        value.sink.error(
            at,
            format!("`{name}` is not a valid name of a label"),
            "use letters, digits and `_`, and do not start with a digit",
        );
    }
    value.text().map(str::to_owned)
}

/// Returns true if a name is new; if not, that is reported.
fn unique(item: &Item<'_>, name: &str, seen: &mut HashMap<String, Position>, what: &str) -> bool {
    match seen.get(name) {
        Some(first) => {
            let hint = format!(
                "{what} on line {} has the same: make each unique",
                first.line
            );
            item.fail::<()>("is set twice", hint);
            false
        }
        None => seen.insert(name.to_owned(), item.at()).is_none(),
    }
}

/// A base URL whose path ends in a slash, so that joining adds to it instead of replacing its last part.
fn with_slash(mut url: reqwest::Url) -> reqwest::Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}
