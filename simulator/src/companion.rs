//! The optional modules `mfa_auditor` and `mfa_auditor_use`: the answer to `read_facts`, from the truth of the world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    access::View,
    clock::{self, Time},
    fail::Fail,
    jsonrpc::version_info,
    world::{ACTIVE, Credential, Hide, Kind, PersonView, World},
};

/// The module that answers.
pub(super) const MODULE: &str = "mfa_auditor_use";

/// The only format of questions that is answered.
const FORMAT: u8 = 2;

/// The field of `res.users` by which an account knows that it may ask.
pub(super) const MARKER: &str = "mfa_auditor_facts_2";

/// The group of the polling account.
pub(super) const GROUP: &str = "mfa_auditor.group_mfa_auditor";

/// Returns true if the account gets an answer.
pub(super) fn may_ask(view: &View<'_>) -> bool {
    view.in_group(GROUP) || view.is_system()
}

/// `mfa.auditor read_facts`.
pub(super) fn read_facts(view: &View<'_>, question: &Value) -> Result<Value, Fail> {
    let world = view.world;
    if !may_ask(view) || view.kind() != Kind::Internal {
        return Err(Fail::Access(
            "mfa.auditor answers internal users in the group 'MFA auditor'".into(),
        ));
    }
    if question["format"] != FORMAT {
        return Err(Fail::User(format!(
            "this version of the module mfa_auditor_use answers questions of format {FORMAT}"
        )));
    }
    let info = version_info(world.version, world.saas);
    // Archived companies count on neither side.
    let active = world.active_companies();
    let allowed = world.person(view.uid).map_or(0, |it| it.companies & active);
    let companies = [allowed.count_ones(), active.count_ones()];
    let mut facts = json!({
        "format": FORMAT,
        "version": info["server_version"],
        "version_info": info["server_version_info"],
        "uid": view.uid,
        "companies": companies,
    });
    if companies[0] == companies[1] {
        let found = world
            .people
            .iter()
            .filter(|it| !world.hidden_by(it.id, Hide::SearchOverride as u8));
        let (found, rows) = (found.count(), world.people.len());
        if found != rows {
            return Err(Fail::Access(format!(
                "a module of this Odoo hides users even from the superuser: {found} of {rows} are found"
            )));
        }
        let all = facts.as_object_mut().expect("an object was just made");
        fill(all, world, question);
    }
    Ok(facts)
}

#[expect(
    clippy::too_many_lines,
    reason = "one part of the answer after the other, of the same sets"
)]
fn fill(facts: &mut Map<String, Value>, world: &World, question: &Value) {
    let active = |is: &dyn Fn(&PersonView<'_>) -> bool| -> Vec<u32> {
        let people = world.people().filter(|person| person.active());
        people.filter(is).map(|person| person.id()).collect()
    };
    let wants = |part: &str| {
        question["parts"]
            .as_array()
            .is_some_and(|parts| parts.contains(&json!(part)))
    };
    let since = |name: &str| {
        question[name]
            .as_str()
            .and_then(clock::parse)
            .unwrap_or(Time::MAX)
    };
    let archived = [Kind::Internal, Kind::Portal, Kind::Public, Kind::None].map(|kind| {
        let people = world.people();
        people
            .filter(|it| !it.active() && it.kind() == kind)
            .count()
    });
    let of = |kind: Kind| active(&|it| it.kind() == kind);
    let mut put = |name: &str, value: Value| drop(facts.insert(name.into(), value));
    put(
        "people",
        json!({
            "internal": of(Kind::Internal),
            "public": of(Kind::Public),
            "none": of(Kind::None),
            "portal": of(Kind::Portal).len(),
            "archived": archived,
        }),
    );
    let implying = |xml_id: &str| -> Vec<u32> {
        match world.group_id(xml_id) {
            Some(id) if world.version >= 19 => world.groups.implying(id),
            id => id.into_iter().collect(),
        }
    };
    let nobody = world.users().filter(PersonView::pseudo);
    put(
        "portal_groups",
        json!({
            "portal": implying("base.group_portal"),
            "internal": implying("base.group_user"),
            "nobody": nobody.map(|it| it.id()).collect::<Vec<_>>(),
        }),
    );
    put("well_known_active", json!(world.well_known_active()));
    put("totp", json!(active(&|it| it.totp())));
    let holders = world
        .people()
        .filter(|it| !it.active() && (it.totp() || it.passkeys() > 0));
    put(
        "archived_holders",
        json!(holders.map(|it| it.id()).collect::<Vec<_>>()),
    );
    put("missing_groups", json!(missing_groups(world, question)));
    put("passkey", json!(active(&|it| it.passkeys() > 0)));
    put(
        "recent",
        json!(active(&|it| it.created() > since("recent_since"))),
    );
    let exemptions = question["exemptions"].as_array().into_iter().flatten();
    let matching = |entry: &Value| {
        let text = |name: &str| entry[name].as_str();
        active(&|it| match (text("login"), text("like"), text("group")) {
            (Some(login), ..) => it.login() == login,
            (_, Some(like), _) => super::operand::like(&it.login(), like),
            (.., Some(group)) => it.in_group(group),
            _ => false,
        })
    };
    put(
        "exemptions",
        json!(exemptions.map(matching).collect::<Vec<_>>()),
    );
    let modules = question["modules"].as_array().into_iter().flatten();
    let installed: Vec<&str> = modules
        .filter_map(Value::as_str)
        .filter(|module| world.installed(module))
        .collect();
    put("modules", json!(installed));
    put("policy", json!(world.policy_in_force()));
    let networks = world.installed("auth_totp_ip_check").then(|| {
        let everybody = world
            .networks
            .iter()
            .filter(|it| it.users.is_empty())
            .count();
        [world.networks.len() - everybody, everybody]
    });
    put("trusted_networks", json!(networks));
    let clear_text = world
        .installed("auth_api_key")
        .then_some(&world.clear_text_keys);
    put("clear_text_keys", json!(clear_text));
    let spared = world.installed("impersonate_login").then(|| {
        let parameter = "impersonate_login.restrict_impersonate_admin_settings";
        world.param(parameter).is_some()
    });
    put("administrators_spared", json!(spared));
    if wants("roles") {
        let roles = question["roles"].as_object().into_iter().flatten();
        let members = |groups: &Value| {
            let groups = groups.as_array().cloned().unwrap_or_default();
            active(&|it| {
                groups
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|group| it.in_group(group))
            })
        };
        let roles: BTreeMap<_, _> = roles
            .map(|(role, groups)| (role, members(groups)))
            .collect();
        put("roles", json!(roles));
        let groups: Vec<&str> = question["roles"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, groups)| groups.as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let known = world.well_known_active();
        let privileged = world
            .users()
            .filter(|it| known.contains(&it.id()))
            .filter(|it| groups.iter().any(|group| it.in_group(group)));
        let privileged: Vec<u32> = privileged.map(|it| it.id()).collect();
        put("well_known_privileged", json!(privileged));
    }
    if wants("sso") {
        put("oauth", json!(active(&|it| it.oauth())));
        put("saml", json!(active(&|it| it.saml())));
    }
    if wants("logins") {
        let since = since("awake_since");
        let awake = active(&|it| it.last_login().unwrap_or(it.created()) > since);
        put("awake", json!(awake));
    }
    let mut owners = Vec::new();
    let mut rows = |credentials: &mut dyn Iterator<Item = &Credential>| {
        let person = |id: u32| world.user(id).is_some_and(|user| !user.pseudo());
        let credentials: Vec<&Credential> = credentials.filter(|it| person(it.owner)).collect();
        owners.extend(credentials.iter().map(|it| it.owner));
        json!(credentials.into_iter().map(row).collect::<Vec<_>>())
    };
    if wants("keys") {
        put("keys", rows(&mut world.keys()));
        let dated = |uses: &BTreeMap<u32, Time>, known: &dyn Fn(u32) -> bool| -> Vec<_> {
            let uses = uses.iter().filter(|(id, _)| known(**id));
            uses.map(|(id, time)| (*id, clock::format(*time))).collect()
        };
        let person = |id| world.user(id).is_some_and(|it| it.active() && !it.pseudo());
        put(
            "use",
            json!({
                "since": clock::format(world.uses.since),
                "keys": dated(&world.uses.keys, &|_| true),
                "passwords": dated(&world.uses.passwords, &person),
            }),
        );
    }
    if wants("devices") {
        put("devices", rows(&mut world.devices()));
    }
    owners.sort_unstable();
    owners.dedup();
    owners.retain(|id| world.person(*id).is_some_and(|person| !person.has(ACTIVE)));
    put("archived_owners", json!(owners));
}

/// The XML ids of groups that the question names, and that do not exist although their module is installed.
fn missing_groups(world: &World, question: &Value) -> BTreeSet<String> {
    let roles = question["roles"].as_object().into_iter().flatten();
    let of_roles = roles.flat_map(|(_, groups)| groups.as_array().into_iter().flatten());
    let exemptions = question["exemptions"].as_array().into_iter().flatten();
    of_roles
        .chain(exemptions.map(|exemption| &exemption["group"]))
        .filter_map(Value::as_str)
        .filter(|xml_id| world.group_id(xml_id).is_none())
        .filter(|xml_id| {
            let module = xml_id.split_once('.');
            module.is_some_and(|(module, _)| world.installed(module))
        })
        .map(Into::into)
        .collect()
}

/// id, owner, scope, made, expires.
fn row(it: &Credential) -> Value {
    let expires = (it.expires != 0).then(|| clock::format(it.expires));
    json!([
        it.id,
        it.owner,
        it.scope.text().map_or(json!(false), |scope| json!(scope)),
        clock::format(it.created),
        expires.map_or(json!(false), |date| json!(date)),
    ])
}
