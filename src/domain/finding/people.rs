//! Findings about users: who is unprotected, exempt, dormant, or locked out by a lost phone.

use super::{ADMIN_ROLES, Case, Finding, Kind, Severity, count_users, counted, grouped, listed};
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

fn how_to_enroll(case: &Case) -> String {
    format!(
        "Ask them to enroll: {} > Two-factor Authentication. To remind them, select them in Settings > Users & Companies > Users and choose Actions > Invite to use two-factor authentication (module auth_totp_mail, from 15 on). Remove the role from users who do not need it.",
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
    // Users without any factor are another finding.
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
            "Ask them to add a passkey: {} > Passkeys (module auth_passkey). Keep the one-time code: without a policy, a passkey does not disable the login by password alone.",
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
        .detail("The configuration exempts it for emergencies. Its use goes unnoticed, because the polling account cannot read logins.")
        .what_to_do("Grant the polling account the rights for the capability logins: docs/odoo-account.md.")
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
            "The public user, the portal template, the default user and the websites' public users stand for no user. They must be archived, and the public and website users must not be internal or portal users. These accounts are not, so they count as users. {meaning}"
        ))
        .what_to_do("Archive the accounts in Settings > Users & Companies > Users. Give each website its own public user (field user_id of the model website), and remove that user from the groups of internal and portal users.")
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
                    count_users(exposed.len()),
                    if exposed.len() == 1 { "has" } else { "have" }
                ),
            )
            .detail(format!(
                "Roles {}: they can change every other right, and their grace period is over. A stolen password is sufficient to take over the database.",
                listed(ADMIN_ROLES)
            ))
            .what_to_do(how_to_enroll(case))
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
            count_users((people - &case.standing.exempt).len())
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
                    count_users(rest.len()),
                    if rest.len() == 1 { "has" } else { "have" }
                ),
            )
            .about(role)
            .detail(detail)
            .what_to_do(how_to_enroll(case))
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
                    count_users(in_grace.len())
                ),
            )
            .detail(
                "Their accounts are new. After the grace period they are reported as unprotected.",
            )
            .what_to_do(how_to_enroll(case))
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
            .detail("Only one user is in the role settings. Odoo has no recovery codes, so no other user can disable that user's second factor.")
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
            format!("{} with one method only", count_users(total)),
        )
        .detail(format!(
            "Odoo has no recovery codes: a lost phone locks them out until an administrator disables the factor. {} with administration rights and a second factor can do so.",
            count_users(helpers.len())
        ))
        .what_to_do(format!(
            "Ask them to keep the secret in an authenticator that is backed up or on two devices, or to add a passkey (Odoo 18 and later). A user with administration rights disables a lost factor: {} > Two-factor Authentication > Disable. Keep at least two such users.",
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
                    format!("{} in a role {} exempt", count_users(people.len()), if people.len() == 1 { "is" } else { "are" }),
                )
                .detail(format!(
                    "In the roles {}. They do not count in the coverage, but keep their rights.",
                    listed(roles)
                ))
                .what_to_do("Remove the role (Settings > Users & Companies > Users > Access Rights), or remove the exemption from the configuration and ask them to enroll. A service account should have only the rights that its task requires.")
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
            .detail("Every user of a shared terminal can use its account. An API key that was created there works from anywhere, without a second factor.")
            .what_to_do(format!(
                "Delete the key ({} > API Keys). If a program uses it, give the program its own account.",
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
                    "It no longer counts: {} whom it matches {} like other users.",
                    count_users(people.len()),
                    if people.len() == 1 {
                        "is treated"
                    } else {
                        "are treated"
                    }
                ))
                .what_to_do("Remove the entry from exemptions, or review it and set a later date.")
                .people(people.clone()),
            );
        } else if people.is_empty() {
            found.push(
                Finding::new(
                    Kind::ExemptionUnmatched,
                    Severity::Warning,
                    format!("The exemption of {whom} matches no user"),
                )
                .about(whom)
                .detail("The login was renamed or archived, is misspelled, or the group does not exist. The next user with that login would be exempt without a decision.")
                .what_to_do("Correct the entry in exemptions, or remove it. Logins are case-sensitive."),
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
                    "Coverage of {user_type} users is {}, below the coverage target of {}",
                    percent(protected[user_type], eligible),
                    percent_of(wanted)
                ),
            )
            .about(user_type.as_str())
            .detail(format!(
                "{} of {} are protected; {} more would reach the target.",
                grouped(protected[user_type]),
                grouped(eligible),
                grouped(missing)
            ))
            .what_to_do(how_to_enroll(case))
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
    // Portal users often forget their accounts; internal ones should be archived.
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
                "user without a second factor has not logged in for a long time",
                "users without a second factor have not logged in for a long time",
            ),
        )
        .detail(format!(
            "By type: {}. Misuse of such an account goes unnoticed.",
            parts.join(", ")
        ))
        .what_to_do("Archive unneeded accounts: Settings > Users & Companies > Users, select them, Actions > Archive.")
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
                "user counts as protected by a passkey alone",
                "users count as protected by a passkey alone",
            ),
        )
        .detail("In Odoo a passkey is an additional way to log in: the password alone still opens these accounts, because no policy in force asks for a code.")
        .what_to_do("Enable the e-mail code policy (Settings > General Settings > Permissions > Enforce two-factor authentication), or ask them to enroll an authenticator as well.")
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
            format!("{} linked to an identity provider", count_users(people.len())),
        )
        .detail(if accepted {
            "They count as protected, because sso is accepted. Odoo does not know whether the provider asked for a second factor, and a local password may still open the account."
        } else {
            "Odoo does not know whether the provider asked for a second factor, so the link alone does not count."
        })
        .what_to_do("Check at the identity provider which users have a second factor. If it is mandatory for all users and local passwords are removed, add sso to accepted_factors.")
        .people(people),
    );
}

/// A share in whole percent, rounded down, so that 100% means all users.
fn percent(part: u64, whole: u64) -> String {
    format!("{}%", (part * 100).checked_div(whole).unwrap_or(100))
}

fn percent_of(ratio: f64) -> String {
    let tenths = (ratio * 1000.0).round() / 10.0;
    format!("{tenths}%")
}
