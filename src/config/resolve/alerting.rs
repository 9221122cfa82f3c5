//! The section `alerting`.

use std::collections::{BTreeSet, HashMap};

use rustls::pki_types::ServerName;
use secrecy::SecretString;

use super::{Context, label_name, labels, material, unique, with_slash};
use crate::config::alerting::{Alerting, Auth, Receiver, ReceiverKind};
use crate::config::reader::{Fields, Item, did_you_mean};
use crate::config::schema;
use crate::config::yaml::Key;
use crate::domain::alert::{Matcher, Rule, Rules, Silence};

pub(super) fn alerting(fields: &Fields<'_>, context: &Context<'_>) -> Alerting {
    let period = |name| fields.get(name).and_then(|item| item.period());
    let mut alerting = Alerting {
        evaluation_interval: period("evaluation_interval"),
        resend_interval: period("resend_interval"),
        repeat_interval: period("repeat_interval"),
        ..Alerting::default()
    };
    let mut seen = HashMap::new();
    let list = |name| {
        let list = fields.get(name).and_then(|item| item.list());
        list.unwrap_or_default()
    };
    for item in list("alertmanagers") {
        alerting
            .receivers
            .extend(alertmanager(&item, &mut seen, context));
    }
    for item in list("webhooks") {
        alerting
            .receivers
            .extend(webhook(&item, &mut seen, context));
    }
    for (key, item) in entries(fields, "rules") {
        let rule = rule_named(key, &item);
        if let (Some(rule), Some(inner)) = (rule, item.fields(&schema::RULE)) {
            tune(rule, &inner, &mut alerting.rules);
        }
    }
    alerting.rules.silences = list("silences").iter().filter_map(silence).collect();
    alerting
}

type Seen = HashMap<String, crate::config::diagnostic::Position>;

fn alertmanager(item: &Item<'_>, seen: &mut Seen, context: &Context<'_>) -> Option<Receiver> {
    let fields = item.fields(&schema::ALERTMANAGER)?;
    let url_item = fields.require("url", "http://127.0.0.1:9093");
    let dns_item = fields.get("dns");
    let dns = dns_item.and_then(|item| item.flag()).unwrap_or_default();
    let (auth, tls) = credentials(&fields, "tls", context);
    let url_item = url_item?;
    let url = with_slash(url_item.url(&["http", "https"], false)?);
    if dns
        && let Some(dns_item) = dns_item
        && matches!(
            url.host_str()?.trim_matches(['[', ']']).try_into(),
            Ok(ServerName::IpAddress(_))
        )
    {
        return dns_item.fail(
            "is set for an IP address",
            "use a host name in `url`, or remove `dns`",
        );
    }
    unique(&url_item, url.as_str(), seen, "an Alertmanager").then(|| Receiver {
        name: url.as_str().trim_end_matches('/').to_owned(),
        kind: ReceiverKind::Alertmanager { dns },
        url,
        auth,
        tls,
    })
}

fn webhook(item: &Item<'_>, seen: &mut Seen, context: &Context<'_>) -> Option<Receiver> {
    let fields = item.fields(&schema::WEBHOOK)?;
    let name_item = fields.require("name", "desk");
    let url_item = fields.require("url", "https://desk.example.com/alerts");
    let send_resolved = fields.get("send_resolved").and_then(|item| item.flag());
    let (auth, tls) = credentials(&fields, "tls", context);
    let url = url_item.and_then(|item| item.url(&["http", "https"], false));
    let name_item = name_item?;
    let name = name_item.text()?;
    unique(&name_item, name, seen, "a receiver").then_some(())?;
    Some(Receiver {
        name: name.to_owned(),
        kind: ReceiverKind::Webhook {
            send_resolved: send_resolved.unwrap_or(true),
        },
        url: url?,
        auth,
        tls,
    })
}

/// Credentials and trusted authorities.
pub(in crate::config) fn credentials(
    fields: &Fields<'_>,
    tls: &'static str,
    context: &Context<'_>,
) -> (Option<Auth>, crate::config::target::Tls) {
    let tls = fields
        .get(tls)
        .and_then(|item| material::tls(&item, context));
    let basic = fields.get("basic_auth");
    let bearer = fields.get("authorization");
    let auth = match (&basic, &bearer) {
        (Some(_), Some(bearer)) => {
            bearer.fail("is set together with `basic_auth`", "keep one of them")
        }
        (Some(item), None) => item.fields(&schema::BASIC_AUTH).and_then(|inner| {
            let username = inner.require("username", "odoo-mfa-exporter");
            let password = inner.require("password_file", "PATH");
            let password = password.and_then(|item| secret(&item, context));
            Some(Auth::Basic {
                username: username?.text()?.to_owned(),
                password: password?,
            })
        }),
        (None, Some(item)) => item.fields(&schema::AUTHORIZATION).and_then(|inner| {
            let token = inner.require("credentials_file", "PATH")?;
            secret(&token, context).map(Auth::Bearer)
        }),
        (None, None) => None,
    };
    (auth, tls.unwrap_or_default())
}

/// A file's text without the line's end.
fn secret(item: &Item<'_>, context: &Context<'_>) -> Option<SecretString> {
    let (_, file) = material::read(item, context)?;
    if file.is_world_readable() {
        context.sink.warning(
            item.at(),
            format!("`{}`: all users of this host can read the file", item.name),
            "`chmod o= FILE`",
        );
    }
    match std::str::from_utf8(&file.bytes).map(|text| text.trim_end_matches(['\r', '\n'])) {
        Ok(text) if text.starts_with('\u{feff}') => item.fail(
            "contains a secret with a byte order mark",
            "save it as plain text, without a byte order mark",
        ),
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
            Some(SecretString::from(text))
        }
        _ => item.fail(
            "does not contain a secret on one line",
            "write only the secret into it",
        ),
    }
}

fn entries<'a>(fields: &Fields<'a>, name: &'static str) -> Vec<(&'a Key, Item<'a>)> {
    let entries = fields.get(name).map(|item| item.entries());
    entries.unwrap_or_default()
}

fn rule_named(key: &Key, item: &Item<'_>) -> Option<Rule> {
    let rule = key.name.parse().ok();
    if rule.is_none() {
        let message = format!("unknown alert `{}`", key.name);
        item.sink.error(key.at, message, known_rules(&key.name));
    }
    rule
}

fn known_rules(name: &str) -> String {
    did_you_mean(name, Rule::WORDS).unwrap_or_else(|| "docs/alerting.md lists them".to_owned())
}

fn tune(rule: Rule, fields: &Fields<'_>, rules: &mut Rules) {
    let settings = rules.get_mut(rule);
    let duration = |name| fields.get(name).and_then(|item| item.duration());
    if let Some(enabled) = fields.get("enabled").and_then(|item| item.flag()) {
        settings.enabled = enabled;
    }
    settings.severity = fields.get("severity").and_then(|item| item.word());
    settings.hold = duration("for").unwrap_or(settings.hold);
    settings.keep_firing = duration("keep_firing_for").unwrap_or(settings.keep_firing);
    if let Some(item) = fields.get("threshold") {
        match (rule.threshold(), item.number()) {
            (None, _) => {
                item.fail::<()>("is set for a rule without a threshold", "remove the line");
            }
            (Some(_), Some(number)) if number < 0.0 || !number.is_finite() => {
                item.fail::<()>("is not a number of at least 0", "write a positive number");
            }
            (Some(_), number) => settings.threshold = number.unwrap_or(settings.threshold),
        }
    }
    settings.labels = fields.get("labels").map(labels).unwrap_or_default();
    for (key, item) in entries(fields, "annotations") {
        let Some(text) = label_name(key.at, &key.name, &item) else {
            continue;
        };
        match text.parse() {
            Ok(template) => settings.annotations.push((key.name.clone(), template)),
            Err(error) => {
                item.fail::<()>("is not a template", format!("{error}"));
            }
        }
    }
}

fn silence(item: &Item<'_>) -> Option<Silence> {
    let fields = item.fields(&schema::SILENCE)?;
    let mut matchers = Vec::new();
    let labels = fields.require("labels", "{target: erp-test}");
    let entries = labels.map(|item| item.entries()).unwrap_or_default();
    if labels.is_some() && entries.is_empty() {
        item.fail::<()>(
            "silences every target",
            "set at least one label; to disable a rule for all targets, set `enabled: false`",
        );
    }
    for (key, value) in entries {
        let matcher = match value.text() {
            None => continue,
            Some(text) if !text.contains(['*', '?']) => Matcher::Text(text.to_owned()),
            Some(text) => match text.parse() {
                Ok(glob) => Matcher::Glob(glob),
                Err(_) => {
                    value.fail::<()>(
                        "matches everything",
                        "to disable a rule for all targets, set `enabled: false`",
                    );
                    continue;
                }
            },
        };
        matchers.push((key.name.clone(), matcher));
    }
    let mut rules = BTreeSet::new();
    for item in fields
        .get("rules")
        .and_then(|item| item.list())
        .unwrap_or_default()
    {
        let Some(name) = item.text() else { continue };
        match name.parse() {
            Ok(rule) => {
                rules.insert(rule);
            }
            Err(_) => {
                item.fail::<()>("is an unknown alert", known_rules(name));
            }
        }
    }
    Some(Silence { matchers, rules })
}
