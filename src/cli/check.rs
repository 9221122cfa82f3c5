//! `check`: is the configuration right, and what may each target's account see?

use std::process::ExitCode;

use super::ask::{Answer, ask};
use super::one::OneTarget;
use super::output::print;
use super::table::Table;
use super::{Options, UNREACHABLE, block_on, color, load_web};
use crate::config::Target;
use crate::domain::facts::Companion;
use crate::domain::{Capability, Facts};
use crate::odoo;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Also connect to every target, and print what its account can see and what to grant.
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    one: OneTarget,
}

pub(super) fn check(options: &Options, check: &Check) -> ExitCode {
    run(options, check).unwrap_or_else(|code| code)
}

fn run(options: &Options, check: &Check) -> Result<ExitCode, ExitCode> {
    let config = check.one.load(&options.config_file)?;
    load_web(options, &config.web)?;
    if let Some(path) = &options.web_config_file {
        print(format!("{}: OK\n", path.display()))?;
    }
    if check.one.configuration().is_none() {
        print(format!(
            "{}: OK, {} target{}\n",
            options.config_file.display(),
            config.targets.len(),
            if config.targets.len() == 1 { "" } else { "s" }
        ))?;
        if !check.connect {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // On 19 and later the API key alone decides which account polls, so that the configured login may be another one.
    let answers = block_on(ask(&config, &config.targets, async |asked, polled| {
        let poller = [polled.facts.poller].into();
        let rows = odoo::directory::people(asked.transport, asked.session, &poller).await?;
        Ok(rows.into_iter().next().map(|poller| poller.login))
    }));
    print(table(&answers).render(color()))?;
    let advice = advice(&answers);
    if !advice.is_empty() {
        print(format!("\n{}\n", advice.join("\n")))?;
    }
    let complete = answers.iter().all(|answer| match &answer.result {
        Ok((polled, _)) => polled
            .facts
            .gaps()
            .all(|(capability, _)| answer.target.accept_missing.contains(&capability)),
        Err(_) => false,
    });
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNREACHABLE)
    })
}

fn table(answers: &[Answer<Option<String>>]) -> Table {
    let mut header = vec!["TARGET", "STATE", "ODOO", "API"];
    header.extend(Capability::ALL.iter().map(|capability| capability.as_str()));
    let mut table = Table::new(header);
    for Answer { target, result } in answers {
        let mut row = vec![target.name.clone()];
        match result {
            Ok((polled, _)) => {
                let gaps: Vec<Capability> = polled
                    .facts
                    .gaps()
                    .map(|(capability, _)| capability)
                    .collect();
                row.push("ok".into());
                row.push(polled.facts.server.version.clone());
                row.push(polled.facts.server.api.to_string());
                row.extend(Capability::ALL.iter().map(|capability| {
                    if gaps.contains(capability) {
                        "no"
                    } else {
                        "yes"
                    }
                    .to_owned()
                }));
            }
            Err(error) => row.push(error.reason().to_string()),
        }
        table.row(row);
    }
    table
}

/// Remedies, target by target.
fn advice(answers: &[Answer<Option<String>>]) -> Vec<String> {
    let mut lines = Vec::new();
    for Answer { target, result } in answers {
        let name = &target.name;
        match result {
            Err(error) => {
                lines.push(format!("{name}: {error}"));
                lines.extend(error.hint.map(|hint| format!("next: {hint}")));
            }
            Ok((polled, login)) => {
                for (capability, gap) in polled.facts.gaps() {
                    let accepted = if target.accept_missing.contains(&capability) {
                        " (accepted)"
                    } else {
                        ""
                    };
                    lines.push(format!("{name}: no {capability}{accepted}: {}", gap.seen));
                    lines.push(format!("next: grant {}", gap.grant));
                }
                lines.extend(sso(name, &polled.facts));
                lines.extend(configured(name, &polled.facts));
                lines.extend(companion(name, &polled.facts));
                if !polled.standing.exempt.contains(polled.facts.poller) {
                    let own = login.as_deref().or(target.login.as_deref());
                    // A string of JSON is one of YAML.
                    let own =
                        own.map_or("LOGIN".to_owned(), |it| serde_json::json!(it).to_string());
                    lines.push(format!(
                        "{name}: the polling account counts as a user without a second factor"
                    ));
                    lines.push(format!(
                        "next: exempt it: exemptions: [{{login: {own}, reason: service}}]"
                    ));
                }
                lines.extend(another_account(target, login.as_deref()));
            }
        }
    }
    lines
}

/// The API key is another account's than the configured login.
fn another_account(target: &Target, login: Option<&str>) -> Vec<String> {
    let (name, configured) = (&target.name, target.login.as_deref());
    match configured.zip(login) {
        Some((configured, own)) if configured != own => vec![
            format!(
                "{name}: warning: the API key belongs to '{own}', the configured login is '{configured}'"
            ),
            format!(
                "next: set login: {}, or create a key as '{configured}'",
                serde_json::json!(own)
            ),
        ],
        _ => Vec::new(),
    }
}

/// Links to identity providers that are unknown: no capability says so.
fn sso(name: &str, facts: &Facts) -> Vec<String> {
    let gaps = [facts.oauth.gap(), facts.saml.gap()];
    let lines = gaps.into_iter().flatten().flat_map(|gap| {
        [
            format!("{name}: SSO is unknown: {}", gap.seen),
            format!("next: grant {}", gap.grant),
        ]
    });
    lines.collect()
}

/// Groups of the configuration that do not exist, clocks that differ, accounts that stand for no user and can act as one, and API keys without a date.
fn configured(name: &str, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for xml_id in &facts.missing_groups {
        lines.push(format!(
            "{name}: warning: the configured group {xml_id} does not exist, although its module is installed"
        ));
        lines.push("next: correct privileged_roles or the target's exemptions".to_owned());
    }
    if let Some(skew) = facts.clock_skew() {
        lines.push(format!("{name}: warning: {skew}"));
        lines.push("  next: synchronize the clocks of both hosts with NTP".to_owned());
    }
    if !facts.well_known_active.is_empty() {
        let ids: Vec<String> = facts
            .well_known_active
            .iter()
            .map(|id| id.to_string())
            .collect();
        lines.push(format!(
            "{name}: warning: accounts that stand for no user can act as one (ids {})",
            ids.join(", ")
        ));
        lines.push("next: archive them, and give each website its own public user".to_owned());
    }
    let keys = facts.keys.complete().into_iter().flatten();
    let dateless: Vec<String> = keys
        .filter(|key| key.created.is_none())
        .map(|key| key.id.to_string())
        .collect();
    if !dateless.is_empty() {
        lines.push(format!(
            "{name}: warning: Odoo has no creation date of API keys (ids {}): they count in no age",
            dateless.join(", ")
        ));
        lines.push("next: delete these keys and create new ones".to_owned());
    }
    lines
}

/// The features that the optional Odoo modules add, or would add where they can run.
fn companion(name: &str, facts: &Facts) -> Option<String> {
    const MENDED: [Capability; 6] = [
        Capability::Passkeys,
        Capability::ApiKeys,
        Capability::TrustedDevices,
        Capability::Policy,
        Capability::Modules,
        Capability::Logins,
    ];
    let modules = match &facts.companion {
        Companion::Answered => {
            return Some(format!(
                "{name}: the Odoo module mfa_auditor_use answers each poll in one request"
            ));
        }
        Companion::Failing(error) => {
            return Some(format!(
                "{name}: the Odoo module mfa_auditor_use does not answer, which costs one more request: {error}"
            ));
        }
        _ if !facts.is_at_least((15, 0)) || facts.is_at_least((20, 0)) => return None,
        Companion::Auditor => {
            "adding the account to the group 'MFA auditor' (module mfa_auditor_use)"
        }
        Companion::Absent => "the optional Odoo modules (docs/odoo-addons.md)",
    };
    let gaps = facts.gaps().map(|(capability, _)| capability);
    let adds: Vec<String> = gaps
        .filter(|capability| MENDED.contains(capability))
        .map(|capability| capability.to_string())
        .chain([
            "the last use of API keys and of password-only logins over RPC".into(),
            "polls in one request".into(),
        ])
        .collect();
    Some(format!("{name}: {modules} would add: {}", adds.join(", ")))
}
