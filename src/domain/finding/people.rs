//! Findings about people: who is unprotected, exempt, dormant, or locked out by a lost phone.

use super::{ADMIN_ROLES, Case, Finding, Kind, Severity, counted, grouped, listed, persons};
use crate::domain::{ExemptReason, Factor, IdSet, UserType};

pub(super) fn find(case: &Case, found: &mut Vec<Finding>) {
    privileged(case, found);
    without_passkey(case, found);
    well_known(case, found);
    admin_lockout(case, found);
    single_factor(case, found);
    exempt(case, found);
    break_glass(case, found);
    exemptions(case, found);
    coverage(case, found);
    dormant(case, found);
    passkey_only(case, found);
    sso(case, found);
}

fn how_to_enrol(case: &Case) -> String {
    format!(
        "Let them enrol: {} > Two-factor Authentication. To remind them, select them in Settings > Users & Companies > Users and choose Actions > Invite to use two-factor authentication (module auth_totp_mail, from 15 on). Whoever no longer needs the role should lose it.",
        case.own_security_page()
    )
}

/// Passkeys exist from Odoo 18 on.
fn without_passkey(case: &Case, found: &mut Vec<Finding>) {
    let Some(holders) = case
        .facts
        .passkey
        .complete()
        .filter(|_| case.facts.is_at_least((18, 0)))
    else {
        return;
    };
    let admins = case.admins();
    // Who has no factor at all is a finding of its own.
    let Some(unprotected) = case.unprotected(&admins) else {
        return;
    };
    let without = admins - holders - &case.standing.exempt - unprotected;
    if without.is_empty() {
        return;
    }
    found.push(
        Finding::new(
            Kind::AdminsWithoutPasskey,
            Severity::Info,
            format!(
                "{} without a phishing-resistant factor",
                counted(without.len(), "administrator", "administrators")
            ),
        )
        .detail("A one-time code can be phished, a passkey cannot.")
        .what_to_do(format!(
            "Let them add a passkey: {} > Passkeys (module auth_passkey). Keep the one-time code: without a policy, a passkey alone does not close the login by password.",
            case.own_security_page()
        ))
        .people(without),
    );
}

fn break_glass(case: &Case, found: &mut Vec<Finding>) {
    let accounts = &case.standing.exempt_by_reason[ExemptReason::BreakGlass as usize];
    if accounts.is_empty() || case.facts.awake.gap().is_none() {
        return;
    }
    found.push(
        Finding::new(
            Kind::BreakGlassUnseen,
            Severity::Warning,
            "Logins of the break-glass account are not visible",
        )
        .detail("The configuration exempts it for emergencies. Its use goes unnoticed, since the polling account cannot read logins.")
        .what_to_do("Grant the polling account what the capability logins needs: docs/odoo-account.md.")
        .people(accounts.clone()),
    );
}

fn well_known(case: &Case, found: &mut Vec<Finding>) {
    let active = &case.facts.well_known_active;
    if active.is_empty() {
        return;
    }
    let privileged = case.facts.well_known_privileged.as_ref();
    let is_privileged = privileged.is_some_and(|accounts| !accounts.is_empty());
    let (severity, meaning) = if is_privileged {
        (
            Severity::Critical,
            "At least one of them is in a role. If a website uses it for its visitors, every visitor has the rights of that role.",
        )
    } else {
        (
            Severity::Warning,
            "If a website uses one of them for its visitors, every visitor has its rights.",
        )
    };
    found.push(
        Finding::new(
            Kind::WellKnownAccountActive,
            severity,
            format!(
                "{} that no user should sign in with can act as a user",
                counted(active.len(), "account", "accounts")
            ),
        )
        .detail(format!(
            "Odoo uses the public user, the portal template, the default user and the websites' users for nobody. They must be archived, and the public and website users must not be internal or portal users. These accounts are not, so they count as users. {meaning}"
        ))
        .what_to_do("Archive the accounts in Settings > Users & Companies > Users. Give each website a public user of its own (field user_id of the model website), and remove that user from the groups of internal and portal users.")
        .people(active.clone()),
    );
}

#[expect(
    clippy::too_many_lines,
    reason = "the findings about roles exclude each other, in this order"
)]
fn privileged(case: &Case, found: &mut Vec<Finding>) {
    let Some(roles) = case.facts.roles.complete() else {
        return;
    };
    let recent = &case.facts.recent;
    let admins = case.admins();
    let Some(exposed) = case.unprotected(&admins).map(|people| people - recent) else {
        return;
    };
    if !exposed.is_empty() {
        found.push(
            Finding::new(
                Kind::AdminWithoutMfa,
                Severity::Critical,
                format!(
                    "{} with administration rights {} no second factor",
                    persons(exposed.len()),
                    if exposed.len() == 1 { "has" } else { "have" }
                ),
            )
            .detail(format!(
                "Roles {}: they can change every other right, and the grace period is over. One stolen password is enough.",
                listed(ADMIN_ROLES)
            ))
            .what_to_do(how_to_enrol(case))
            .people(exposed.clone()),
        );
    }
    for (role, people) in roles {
        if ADMIN_ROLES.contains(&role.as_str()) {
            continue;
        }
        let Some(all) = case.unprotected(people).map(|people| people - recent) else {
            continue;
        };
        let rest = &all - &exposed;
        if rest.is_empty() {
            continue;
        }
        let above = all.len() - rest.len();
        let mut detail = format!(
            "Of {} in the role who are not exempt; the grace period is over.",
            persons((people - &case.standing.exempt).len())
        );
        if above > 0 {
            detail += &format!(
                " {} more {} counted among those with administration rights.",
                grouped(above),
                if above == 1 { "is" } else { "are" }
            );
        }
        found.push(
            Finding::new(
                Kind::PrivilegedWithoutMfa,
                Severity::Warning,
                format!(
                    "{} in the role {role} {} no second factor",
                    persons(rest.len()),
                    if rest.len() == 1 { "has" } else { "have" }
                ),
            )
            .about(role)
            .detail(detail)
            .what_to_do(how_to_enrol(case))
            .people(rest),
        );
    }
    let in_grace = case
        .standing
        .privileged
        .as_ref()
        .and_then(|people| case.unprotected(people))
        .map(|people| people & recent)
        .unwrap_or_default();
    if !in_grace.is_empty() {
        found.push(
            Finding::new(
                Kind::PrivilegedInGrace,
                Severity::Info,
                format!(
                    "{} in a role without a second factor, still within the grace period",
                    persons(in_grace.len())
                ),
            )
            .detail("Their accounts are new. When the grace period ends, they are reported as unprotected.")
            .what_to_do(how_to_enrol(case))
            .people(in_grace),
        );
    }
}

/// One administrator, one phone.
fn admin_lockout(case: &Case, found: &mut Vec<Finding>) {
    let everybody = case.role("settings");
    let eligible = &everybody - &case.standing.exempt;
    let protected_alone = eligible.len() == 1
        && case
            .unprotected(&eligible)
            .is_some_and(|set| set.is_empty());
    if protected_alone {
        found.push(
            Finding::new(
                Kind::AdminLockoutRisk,
                Severity::Warning,
                "One lost phone locks the administrators out",
            )
            .detail("Only one person is in the role settings. Odoo has no recovery codes: nobody else can switch that person's second factor off.")
            .what_to_do("Set up a second administrator, with an authenticator on another device, and keep that account for emergencies: Settings > Users & Companies > Users > Access Rights > Administration: Settings.")
            .people(eligible),
        );
    }
}

fn single_factor(case: &Case, found: &mut Vec<Finding>) {
    let (Some(single), Some(totp), Some(passkey)) = (
        case.posture.single_factor,
        case.facts.totp.complete(),
        case.facts.passkey.complete(),
    ) else {
        return;
    };
    let total: u64 = single.0.iter().sum();
    if total == 0 {
        return;
    }
    let mut helpers = case.admins() - &case.standing.exempt;
    helpers &= totp | passkey;
    let people = (totp ^ passkey) - &case.standing.exempt;
    found.push(
        Finding::new(
            Kind::SingleFactor,
            Severity::Info,
            format!("{} with one method only", persons(total)),
        )
        .detail(format!(
            "Odoo has no recovery codes: a lost phone locks them out until an administrator helps. {} with administration rights and a factor of their own can.",
            persons(helpers.len())
        ))
        .what_to_do(format!(
            "Let them keep the secret in an authenticator that is backed up or on two devices, or add a passkey where Odoo has them (18 and later). A person with administration rights switches a lost one off: {} > Two-factor Authentication > Disable. Keep at least two such people.",
            case.security_page_of_others()
        ))
        .people(people),
    );
}

fn exempt(case: &Case, found: &mut Vec<Finding>) {
    let exempt = &case.standing.exempt;
    if let Some(privileged) = &case.standing.privileged {
        // A break-glass account is privileged on purpose; its use is an alert.
        let break_glass = &case.standing.exempt_by_reason[ExemptReason::BreakGlass as usize];
        let people = privileged & (exempt - break_glass);
        if !people.is_empty() {
            let roles: Vec<&str> = case
                .facts
                .roles
                .complete()
                .into_iter()
                .flatten()
                .filter(|(_, members)| !members.is_disjoint(&people))
                .map(|(role, _)| role.as_str())
                .collect();
            found.push(
                Finding::new(
                    Kind::ExemptPrivileged,
                    Severity::Warning,
                    format!("{} in a role {} exempt", persons(people.len()), if people.len() == 1 { "is" } else { "are" }),
                )
                .detail(format!(
                    "In the roles {}. They count in no coverage, but their rights are as great as ever.",
                    listed(roles)
                ))
                .what_to_do("Take the role away (Settings > Users & Companies > Users > Access Rights), or remove the exemption from the configuration and let them enrol. A service account should hold only the rights that its task needs.")
                .people(people),
            );
        }
    }
    let mut kiosks = case.standing.exempt_by_reason[ExemptReason::Kiosk as usize].clone();
    kiosks &= case.working_keys().map(|key| key.owner).collect::<IdSet>();
    if !kiosks.is_empty() {
        found.push(
            Finding::new(
                Kind::KioskHoldsApiKey,
                Severity::Warning,
                counted(
                    kiosks.len(),
                    "account that is exempt as kiosk holds an API key",
                    "accounts that are exempt as kiosk hold an API key",
                ),
            )
            .detail("Whoever stands at a shared terminal may use its account. An API key made there works from anywhere, without a second factor.")
            .what_to_do(format!(
                "Delete the key ({} > API Keys), or, if a program uses it, give the program an account of its own.",
                case.own_security_page()
            ))
            .people(kiosks),
        );
    }
}

fn exemptions(case: &Case, found: &mut Vec<Finding>) {
    let today = case.facts.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let entries = case.terms.exemptions.iter().zip(&case.facts.exemptions);
    for (entry, people) in entries.filter(|(entry, people)| entry.concerns(people)) {
        let whom = entry.whom();
        if let Some(last) = entry.expires.filter(|_| entry.expired_on(today)) {
            found.push(
                Finding::new(
                    Kind::ExemptionExpired,
                    Severity::Warning,
                    format!("The exemption of {whom} expired on {last}"),
                )
                .about(whom)
                .detail(format!(
                    "It no longer counts: {} whom it matches {} like everybody else.",
                    persons(people.len()),
                    if people.len() == 1 {
                        "is treated"
                    } else {
                        "are treated"
                    }
                ))
                .what_to_do(
                    "Remove the entry from exemptions, or decide anew and give it a later date.",
                )
                .people(people.clone()),
            );
        } else if people.is_empty() {
            found.push(
                Finding::new(
                    Kind::ExemptionUnmatched,
                    Severity::Warning,
                    format!("The exemption of {whom} matches nobody"),
                )
                .about(whom)
                .detail("A login that was renamed or archived, a typing error, or a group that does not exist. Whoever takes that login next would be exempt without anybody's decision.")
                .what_to_do("Correct the entry in exemptions, or remove it. Upper and lower case differ."),
            );
        }
    }
}

fn coverage(case: &Case, found: &mut Vec<Finding>) {
    let Some(protected) = case.posture.protected else {
        return;
    };
    for (user_type, wanted) in case.coverage_target.iter() {
        let eligible = case.posture.eligible[user_type];
        let Some(wanted) = *wanted else { continue };
        if eligible == 0 || protected[user_type] as f64 / eligible as f64 >= wanted {
            continue;
        }
        let ids = match user_type {
            UserType::Internal => &case.facts.people.internal,
            UserType::Public => &case.facts.people.public,
            UserType::None => &case.facts.people.none,
            UserType::Portal => &IdSet::new(),
        };
        let missing = (wanted * eligible as f64).ceil() as u64 - protected[user_type];
        found.push(
            Finding::new(
                Kind::CoverageBelowTarget,
                Severity::Warning,
                format!(
                    "Coverage of {user_type} people is {}, and {} is wanted",
                    percent(protected[user_type], eligible),
                    percent_of(wanted)
                ),
            )
            .about(user_type.as_str())
            .detail(format!(
                "{} of {} are protected; {} more would reach it.",
                grouped(protected[user_type]),
                grouped(eligible),
                grouped(missing)
            ))
            .what_to_do(how_to_enrol(case))
            .people(case.unprotected(ids).unwrap_or_default()),
        );
    }
}

fn dormant(case: &Case, found: &mut Vec<Finding>) {
    let (Some(dormant), Some(awake)) = (
        case.posture.dormant_unprotected,
        case.facts.awake.complete(),
    ) else {
        return;
    };
    let total: u64 = dormant.0.iter().sum();
    if total == 0 {
        return;
    }
    let parts: Vec<String> = dormant
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(user_type, count)| format!("{} {user_type}", grouped(*count)))
        .collect();
    // Portal people who forget their account are a fact of life; internal ones are somebody's to archive.
    let severity = if dormant.0.iter().sum::<u64>() > dormant[UserType::Portal] {
        Severity::Warning
    } else {
        Severity::Info
    };
    let people = case
        .unprotected(&case.named())
        .map(|people| people - awake)
        .unwrap_or_default();
    found.push(
        Finding::new(
            Kind::DormantUnprotected,
            severity,
            counted(
                total,
                "person without a second factor has not logged in for long",
                "people without a second factor have not logged in for long",
            ),
        )
        .detail(format!(
            "By type: {}. Nobody would notice if somebody else used such an account.",
            parts.join(", ")
        ))
        .what_to_do("Archive the accounts that nobody needs: Settings > Users & Companies > Users, select them, Actions > Archive.")
        .people(people),
    );
}

/// A passkey does not close the password login, unless a policy asks for a code there.
fn passkey_only(case: &Case, found: &mut Vec<Finding>) {
    if !case.terms.accepted.contains(&Factor::Passkey) {
        return;
    }
    let (Some(totp), Some(passkey)) = (case.facts.totp.complete(), case.facts.passkey.complete())
    else {
        return;
    };
    let mut people = passkey - totp - &case.standing.exempt;
    if let Some(enforcement) = case.posture.enforcement {
        people = people
            .iter()
            .filter(|id| !enforcement.covers[case.facts.people.type_of(*id)])
            .collect();
    }
    if people.is_empty() {
        return;
    }
    found.push(
        Finding::new(
            Kind::PasskeyOnly,
            Severity::Info,
            counted(
                people.len(),
                "person counts as protected by a passkey alone",
                "people count as protected by a passkey alone",
            ),
        )
        .detail("In Odoo a passkey is another way in, not a lock: the password alone still opens these accounts, as nothing in force asks for a code.")
        .what_to_do("Switch the e-mail code policy on (Settings > General Settings > Permissions > Enforce two-factor authentication), or let them enrol an authenticator as well.")
        .people(people),
    );
}

fn sso(case: &Case, found: &mut Vec<Finding>) {
    let (Some(oauth), Some(saml)) = (case.facts.oauth.complete(), case.facts.saml.complete())
    else {
        return;
    };
    let people = oauth | saml;
    if people.is_empty() {
        return;
    }
    let accepted = case.terms.accepted.contains(&Factor::Sso);
    found.push(
        Finding::new(
            Kind::SsoUnseen,
            Severity::Info,
            format!("{} linked to an identity provider", persons(people.len())),
        )
        .detail(if accepted {
            "They count as protected, because sso is accepted. Odoo does not know whether the provider asked for a second factor, and a local password may still open the account."
        } else {
            "Odoo does not know whether the provider asked for a second factor, so the link alone protects nobody here."
        })
        .what_to_do("Ask the identity provider who has a second factor there. If it is mandatory for all and local passwords are removed, add sso to accepted_factors.")
        .people(people),
    );
}

/// A share in whole percent, rounded down, so that 100% means everybody.
fn percent(part: u64, whole: u64) -> String {
    format!("{}%", (part * 100).checked_div(whole).unwrap_or(100))
}

fn percent_of(ratio: f64) -> String {
    let tenths = (ratio * 1000.0).round() / 10.0;
    format!("{tenths}%")
}
