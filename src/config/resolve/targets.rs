//! From the tree to the targets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::material::{api_key, tls};
use super::{Context, labels, unique, with_slash};
use crate::config::diagnostic::Position;
use crate::config::fnv1a;
use crate::config::reader::{Fields, Item, suggestion};
use crate::config::schema;
use crate::config::secret::{ApiKey, ProxyUrl};
use crate::config::target::{ApiChoice, Surface, Target, Vantage};
use crate::domain::exemption::{Exemption, Glob, Matcher, Note};
use crate::domain::role::Roles;
use crate::domain::vocabulary::{Factor, UnknownWord, UserType};

pub(super) fn targets(root: &Fields<'_>, roles: &Roles, context: &Context<'_>) -> Vec<Arc<Target>> {
    let defaults = root
        .get("defaults")
        .and_then(|item| item.fields(&schema::DEFAULTS))
        .map(|fields| Settings::read(&fields))
        .unwrap_or_default();
    let Some(list) = root.require(
        "targets",
        "[{name: erp, url: ..., database: ..., api_key_file: ...}]",
    ) else {
        return Vec::new();
    };
    let Some(items) = list.list() else {
        return Vec::new();
    };
    if items.is_empty() {
        list.fail::<()>("is empty", "add at least one target");
    }
    let roles = format!("{roles:?}");
    let mut names = HashMap::new();
    let mut databases = HashMap::new();
    items
        .iter()
        .filter_map(|item| {
            let fields = item.fields(&schema::TARGET)?;
            if let Some(name) = fields.get("name")
                && let Some(text) = name.text()
            {
                unique(&name, text, &mut names, "the target");
            }
            let mut target = target(&fields, &defaults, context)?;
            let database = (target.url.clone(), target.database.clone());
            if let Some(other) = databases.insert(database, target.name.clone()) {
                context.sink.warning(
                    fields.at,
                    format!("`{}` polls the same database as `{other}`", target.name),
                    "sums over targets would count its users twice: remove one of them",
                );
            }
            target.fingerprint = fingerprint(&roles, &target);
            Some(Arc::new(target))
        })
        .collect()
}

/// Of all that a poll's numbers depend on. Debug output shows everything but secrets.
fn fingerprint(roles: &str, target: &Target) -> u64 {
    let mut plain = target.clone();
    for exemption in &mut plain.exemptions {
        exemption.note = Note::default();
    }
    fnv1a(format!("{roles}{plain:?}").as_bytes())
}

/// Fields that can be set for all targets and for one.
#[derive(Default)]
struct Settings {
    /// The value, `None` if it is wrong, and where it stands, since it is compared later.
    interval: Option<(Option<Duration>, Position)>,
    /// As `interval`.
    timeout: Option<(Option<Duration>, Position)>,
    accepted_factors: Option<BTreeSet<Factor>>,
    grace: Option<Duration>,
    dormant: Option<Duration>,
    coverage_target: Option<BTreeMap<UserType, f64>>,
    exemptions: Vec<Exemption>,
}

impl Settings {
    fn read(fields: &Fields<'_>) -> Self {
        let period = |name| fields.get(name).map(|item| (item.period(), item.at()));
        Self {
            interval: period("interval"),
            timeout: period("timeout"),
            accepted_factors: fields.get("accepted_factors").and_then(|item| {
                let list = item.list()?;
                if list.is_empty() {
                    item.fail::<()>(
                        "accepts no factor, so no user could be protected",
                        "write `[totp]`",
                    );
                }
                Some(words(&list))
            }),
            grace: fields.get("grace").and_then(|item| item.duration()),
            dormant: fields.get("dormant").and_then(|item| item.period()),
            coverage_target: fields.get("coverage_target").map(coverage_target),
            exemptions: fields
                .get("exemptions")
                .and_then(|item| item.list())
                .map(|list| list.iter().filter_map(exemption).collect())
                .unwrap_or_default(),
        }
    }
}

fn coverage_target(item: Item<'_>) -> BTreeMap<UserType, f64> {
    let mut wanted = BTreeMap::new();
    for (key, value) in item.entries() {
        match key.name.parse::<UserType>() {
            Ok(user_type) => wanted.extend(value.ratio().map(|ratio| (user_type, ratio))),
            Err(UnknownWord { expected }) => {
                let hint = suggestion(&key.name, &expected);
                item.sink
                    .error(key.at, format!("unknown type of user `{}`", key.name), hint);
            }
        }
    }
    wanted
}

#[expect(clippy::too_many_lines, reason = "one step for each field of a target")]
fn target(fields: &Fields<'_>, defaults: &Settings, context: &Context<'_>) -> Option<Target> {
    let own = Settings::read(fields);
    let polling = polling(&own, defaults, fields.at, context);

    let name = fields
        .require("name", "erp")
        .and_then(|item| label_value(&item));
    let plain_http = fields.get("allow_plain_http").and_then(|item| item.flag());
    let url = fields
        .require("url", "https://erp.example.com")
        .and_then(|item| odoo_url(&item, plain_http));
    let database = fields
        .require("database", "prod")
        .and_then(|item| item.text());
    let login = fields
        .get("login")
        .and_then(|item| item.text())
        .map(str::to_owned);
    let api = fields
        .get("api")
        .map_or(Some(ApiChoice::Auto), |item| item.word());
    if api == Some(ApiChoice::JsonRpc) && fields.get("login").is_none() {
        context.sink.error(
            fields.at,
            "`login` is missing",
            "JSON-RPC needs the polling account's login: add `login: ...`",
        );
    }
    let tls = fields
        .get("tls")
        .and_then(|item| tls(&item, context))
        .unwrap_or_default();
    if let (Some(item), Some(url)) = (fields.get("tls"), &url)
        && url.scheme() == "http"
    {
        context.sink.warning(
            item.at(),
            "`tls` has no effect with an `http://` URL",
            "write `https://`, or remove `tls`",
        );
    }
    let proxy = fields.get("proxy").and_then(|item| proxy(&item));
    let accept_missing = fields
        .get("accept_missing")
        .and_then(|item| item.list())
        .map(|list| words(&list))
        .unwrap_or_default();
    let accept_bypasses = fields
        .get("accept_bypasses")
        .and_then(|item| item.list())
        .map(|list| words(&list))
        .unwrap_or_default();
    let shared = defaults.exemptions.iter().cloned().map(|entry| Exemption {
        shared: true,
        ..entry
    });
    let surface = fields
        .get("surface")
        .and_then(|item| surface(&item, url.as_ref()));
    let labels = fields.get("labels").map(labels).unwrap_or_default();
    let key = api_key(fields, context);

    let (interval, timeout) = polling?;
    let (key_source, api_key) = key?;
    Some(Target {
        name: name?,
        url: url?,
        database: database?.to_owned(),
        login,
        api_key: ApiKey::new(api_key),
        key_source,
        api: api?,
        interval,
        timeout,
        accepted_factors: own
            .accepted_factors
            .or_else(|| defaults.accepted_factors.clone())
            .unwrap_or_else(|| BTreeSet::from([Factor::Totp])),
        grace: own.grace.or(defaults.grace).unwrap_or(days(14)),
        dormant: own.dormant.or(defaults.dormant).unwrap_or(days(90)),
        coverage_target: own
            .coverage_target
            .or_else(|| defaults.coverage_target.clone())
            .unwrap_or_else(|| BTreeMap::from([(UserType::Internal, 0.9)])),
        labels: labels.into_iter().collect(),
        tls,
        proxy,
        accept_missing,
        accept_bypasses,
        // Its own first: where two exempt the same user, the reason of the first counts.
        exemptions: own.exemptions.into_iter().chain(shared).collect(),
        surface,
        fingerprint: 0,
    })
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// Interval and timeout, which must fit together; where they do not, what was set closest to the target is blamed.
fn polling(
    own: &Settings,
    defaults: &Settings,
    at: Position,
    context: &Context<'_>,
) -> Option<(Duration, Duration)> {
    let set = |own: Option<_>, default: Option<_>, built_in| {
        own.or(default).map_or(Some(built_in), |(value, _)| value)
    };
    let interval = set(own.interval, defaults.interval, Duration::from_secs(300));
    let timeout = set(own.timeout, defaults.timeout, Duration::from_secs(30));
    let (interval, timeout) = (interval?, timeout?);
    let blame = own
        .timeout
        .or(own.interval)
        .or(defaults.timeout)
        .or(defaults.interval);
    if timeout >= interval {
        context.sink.error(
            blame.map_or(at, |(_, at)| at),
            format!("`timeout` ({timeout:?}) is not shorter than `interval` ({interval:?})"),
            "polls of a target must not overlap: lower `timeout` or raise `interval`",
        );
    }
    Some((interval, timeout))
}

fn words<T: std::str::FromStr<Err = UnknownWord> + Ord>(list: &[Item<'_>]) -> BTreeSet<T> {
    list.iter().filter_map(Item::word).collect()
}

/// Text that is good as a label's value and as a part of a page's address.
fn label_value(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.trim() != text || text.chars().count() > 100 {
        return item.fail(
            "starts or ends with a space, or is longer than 100 characters",
            "use a short name, such as `erp`",
        );
    }
    Some(text.to_owned())
}

fn odoo_url(item: &Item<'_>, plain_http: Option<bool>) -> Option<Url> {
    let url = item.url(&["https", "http"], false)?;
    let allowed = plain_http == Some(true);
    if url.scheme() == "http" && !is_loopback(&url) && !allowed {
        return item.fail(
            "is plain http to another host: the API key would be sent in clear text",
            "use `https://`, or set `allow_plain_http: true` in a trusted network",
        );
    }
    let pasted = url
        .path_segments()
        .and_then(|mut parts| parts.next())
        .is_some_and(|part| ["web", "odoo"].contains(&part));
    if pasted {
        item.sink.warning(
            item.at(),
            format!("`{}` has a path", item.name),
            "Odoo's API is at the root: remove the path",
        );
    }
    Some(with_slash(url))
}

fn is_loopback(url: &Url) -> bool {
    // The host is matched as parsed: `127.1` and `0x7f000001` have become addresses by then.
    match url.host_str() {
        Some(host) if host == "localhost" || host.ends_with(".localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn proxy(item: &Item<'_>) -> Option<ProxyUrl> {
    item.url(&["http", "https", "socks5", "socks5h"], true)
        .map(ProxyUrl::new)
}

fn exemption(item: &Item<'_>) -> Option<Exemption> {
    let fields = item.fields(&schema::EXEMPTION)?;
    let matcher = matcher(item, &fields);
    let user_type = fields.get("user_type").map(|item| item.word());
    let reason = fields
        .require("reason", "service")
        .and_then(|item| item.word());
    let expires = fields.get("expires").map(|item| item.date());
    let text = |name| Some(fields.get(name)?.text()?.to_owned());
    Some(Exemption {
        matcher: matcher?,
        user_type: user_type.flatten(),
        reason: reason?,
        expires: expires.flatten(),
        shared: false,
        note: Note {
            approved_by: text("approved_by"),
            ticket: text("ticket"),
            comment: text("comment"),
        },
    })
}

/// Exactly one of the alternatives.
fn matcher(item: &Item<'_>, fields: &Fields<'_>) -> Option<Matcher> {
    let given: Vec<Item<'_>> = schema::EXEMPTION
        .alternatives()
        .filter_map(|name| fields.get(name))
        .collect();
    match given.as_slice() {
        [only] => match only.name {
            "login" => only.text().map(|login| Matcher::Login(login.to_owned())),
            "login_glob" => only.text().and_then(|text| match text.parse::<Glob>() {
                Ok(glob) => Some(Matcher::Glob(glob)),
                Err(_) => only.fail(
                    "would exempt all users",
                    "use a narrower pattern, such as `svc-*`",
                ),
            }),
            _ => only.xml_id().map(Matcher::Group),
        },
        [] => {
            item.sink.error(
                fields.at,
                "the exemption does not say which users it applies to",
                "add one of `login`, `login_glob` and `group`",
            );
            None
        }
        [first, second, ..] => second.fail(
            &format!("is set together with `{}`", first.name),
            "an exemption has one of `login`, `login_glob` and `group`: write two exemptions",
        ),
    }
}

fn surface(item: &Item<'_>, target_url: Option<&Url>) -> Option<Surface> {
    let fields = item.fields(&schema::SURFACE)?;
    let interval = fields
        .get("interval")
        .map_or(Some(Duration::from_secs(3600)), |item| item.period());
    let list = fields.require(
        "vantages",
        "[{name: outside, expect_blocked: [database_manager]}]",
    )?;
    let items = list.list()?;
    if items.is_empty() {
        list.fail::<()>("is empty", "add a vantage point, or remove `surface`");
    }
    let mut names = HashMap::new();
    let vantages = items
        .iter()
        .filter_map(|item| vantage(item, target_url, &mut names))
        .collect();
    Some(Surface {
        interval: interval?,
        vantages,
    })
}

fn vantage(
    item: &Item<'_>,
    target_url: Option<&Url>,
    names: &mut HashMap<String, Position>,
) -> Option<Vantage> {
    let fields = item.fields(&schema::VANTAGE)?;
    let name = fields.require("name", "outside").and_then(|item| {
        let name = label_value(&item)?;
        unique(&item, &name, names, "the vantage point").then_some(name)
    });
    // No credentials are sent, so plain http is no risk here.
    let url = match fields.get("url") {
        Some(item) => item.url(&["https", "http"], false).map(with_slash),
        None => target_url.cloned(),
    };
    let proxy = fields.get("proxy").and_then(|item| proxy(&item));
    let expect_blocked: BTreeSet<_> = fields
        .get("expect_blocked")
        .and_then(|item| item.list())
        .map(|list| words(&list))
        .unwrap_or_default();
    if fields.get("expect_blocked").is_none() {
        item.sink.warning(
            fields.at,
            "the vantage point has no `expect_blocked`, so it raises no alert",
            "add `expect_blocked: [database_manager, database_list]`, or `[]` for no alert",
        );
    }
    Some(Vantage {
        name: name?,
        url: url?,
        proxy,
        expect_blocked,
    })
}
