//! Which controls of published frameworks a finding concerns. docs/controls.md names the text in which each clause was checked.
//!
//! A finding concerns a control if it shows that the control is not met in Odoo, or may not be.

use super::Kind as K;
use super::vocabulary;
use Framework::{Asvs, CisControls, Iso27001, Nis2, Nist80053, Nist80063b, PciDss, Soc2};

vocabulary! {
    /// A published set of controls.
    Framework {
        /// Payment Card Industry Data Security Standard.
        PciDss = "pci_dss",
        /// Annex A of ISO/IEC 27001.
        Iso27001 = "iso_27001",
        /// NIST SP 800-53.
        Nist80053 = "nist_800_53",
        /// NIST SP 800-63B.
        Nist80063b = "nist_800_63b",
        /// CIS Critical Security Controls.
        CisControls = "cis",
        /// Trust Services Criteria of the AICPA.
        Soc2 = "soc_2",
        /// Directive (EU) 2022/2555.
        Nis2 = "nis2",
        /// OWASP Application Security Verification Standard.
        Asvs = "asvs",
    }
}

impl Framework {
    /// The name and version that clauses were checked in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PciDss => "PCI DSS 4.0.1",
            Self::Iso27001 => "ISO/IEC 27001:2022",
            Self::Nist80053 => "NIST SP 800-53 Rev. 5",
            Self::Nist80063b => "NIST SP 800-63B-4",
            Self::CisControls => "CIS Controls v8",
            Self::Soc2 => "SOC 2",
            Self::Nis2 => "NIS2",
            Self::Asvs => "OWASP ASVS 5.0.0",
        }
    }

    /// What to know before using its clauses.
    pub const fn note(self) -> &'static str {
        match self {
            Self::PciDss => {
                "Applies if Odoo stores, processes or transmits card data, or affects systems that do. 8.4.2 exempts application and system accounts that perform automated functions, and users who authenticate with phishing-resistant factors only."
            }
            Self::Iso27001 => "Annex A.",
            Self::Nist80053 => "Controls and their enhancements.",
            Self::Nist80063b => {
                "Revision 4 of July 2025. The sections of revision 3 have other numbers. Odoo with a second factor can meet AAL2."
            }
            Self::CisControls => "The safeguards have the same numbers and titles in v8.1.",
            Self::Soc2 => "Trust Services Criteria of 2017 with the points of focus of 2022.",
            Self::Nis2 => {
                "Directive (EU) 2022/2555. Applies to essential and important entities, through national law."
            }
            Self::Asvs => "The full identifier of V6.3.3 is v5.0.0-6.3.3.",
        }
    }
}

/// One clause, and the findings that concern it.
#[derive(Debug)]
pub struct Control {
    /// Of which framework.
    pub framework: Framework,
    /// Its number there.
    pub clause: &'static str,
    /// A short label, not the text of the standard.
    pub title: &'static str,
    /// Findings that show that it is not met, or may not be.
    pub findings: &'static [K],
}

impl Control {
    /// The framework and the clause.
    pub fn name(&self) -> String {
        format!("{} {}", self.framework.name(), self.clause)
    }
}

/// The controls that a kind of finding concerns.
pub fn controls(kind: K) -> impl Iterator<Item = &'static Control> {
    CONTROLS
        .iter()
        .filter(move |it| it.findings.contains(&kind))
}

const fn control(
    framework: Framework,
    clause: &'static str,
    title: &'static str,
    findings: &'static [K],
) -> Control {
    Control {
        framework,
        clause,
        title,
        findings,
    }
}

/// Every control, by framework and clause.
pub static CONTROLS: &[Control] = &[
    control(
        PciDss,
        "2.2.2",
        "Vendor default accounts",
        &[K::WellKnownAccountActive],
    ),
    control(
        PciDss,
        "2.2.4",
        "Only necessary services and functions",
        &[K::EndpointExposed],
    ),
    control(
        PciDss,
        "7.2.2",
        "Access by job function and least privilege",
        &[K::Impersonation, K::PrivilegedUnrestrictedKeys],
    ),
    control(
        PciDss,
        "7.2.5",
        "Privileges of application and system accounts",
        &[K::PollerPrivileged],
    ),
    control(
        PciDss,
        "8.2.2",
        "Group, shared and generic IDs",
        &[
            K::MasterPassword,
            K::WellKnownAccountActive,
            K::KioskHoldsApiKey,
        ],
    ),
    control(
        PciDss,
        "8.2.5",
        "Access of terminated users",
        &[K::KeysOfArchived],
    ),
    control(
        PciDss,
        "8.2.6",
        "Inactive user accounts",
        &[K::DormantUnprotected],
    ),
    control(
        PciDss,
        "8.3.2",
        "Authentication factors unreadable in storage",
        &[K::ClearTextApiKeys],
    ),
    control(
        PciDss,
        "8.4.1",
        "MFA for administrative access into the CDE",
        &[
            K::AdminWithoutMfa,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::ExemptPrivileged,
            K::PrivilegedInGrace,
        ],
    ),
    control(
        PciDss,
        "8.4.2",
        "MFA for all non-console access into the CDE",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::DormantUnprotected,
            K::PrivilegedInGrace,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
        ],
    ),
    control(
        PciDss,
        "8.5.1",
        "MFA systems are not bypassed",
        &[
            K::MasterPassword,
            K::TrustedNetwork,
            K::PasswordRpcOpen,
            K::Impersonation,
            K::ExemptPrivileged,
            K::ExemptionExpired,
            K::TrustedDevices,
            K::PasskeyOnly,
        ],
    ),
    control(
        Iso27001,
        "A.5.15",
        "Access control",
        &[
            K::EnforcementNone,
            K::ExemptionExpired,
            K::ExemptionUnmatched,
        ],
    ),
    control(
        Iso27001,
        "A.5.16",
        "Identity management",
        &[K::WellKnownAccountActive, K::DormantUnprotected],
    ),
    control(
        Iso27001,
        "A.5.17",
        "Authentication information",
        &[
            K::MasterPassword,
            K::PollerKeyExpiring,
            K::KioskHoldsApiKey,
            K::ClearTextApiKeys,
            K::PrivilegedKeysWithoutExpiry,
            K::KeysOld,
            K::KeysOfUnprotected,
            K::KeysOfPortal,
            K::ManyKeys,
            K::KeysExpiring,
        ],
    ),
    control(
        Iso27001,
        "A.5.18",
        "Access rights",
        &[
            K::KeysOfArchived,
            K::DormantUnprotected,
            K::ConfiguredGroupMissing,
            K::KeysOld,
        ],
    ),
    control(
        Iso27001,
        "A.5.36",
        "Compliance with policies, rules and standards for information security",
        &[
            K::CoverageBelowTarget,
            K::ExemptionUnmatched,
            K::ConfiguredGroupMissing,
            K::CapabilityMissing,
            K::SurfaceUnknown,
            K::AcceptanceExpired,
            K::AcceptanceUnmatched,
        ],
    ),
    control(
        Iso27001,
        "A.8.2",
        "Privileged access rights",
        &[
            K::AdminWithoutMfa,
            K::PrivilegedWithoutMfa,
            K::AdminLockoutRisk,
            K::Impersonation,
            K::ExemptPrivileged,
            K::PollerPrivileged,
            K::PrivilegedInGrace,
            K::PrivilegedKeysWithoutExpiry,
            K::AdminsWithoutPasskey,
            K::PrivilegedUnrestrictedKeys,
            K::BreakGlassUnseen,
        ],
    ),
    control(
        Iso27001,
        "A.8.5",
        "Secure authentication",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::Impersonation,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::DormantUnprotected,
            K::PrivilegedInGrace,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SingleFactor,
            K::SsoUnseen,
            K::AdminsWithoutPasskey,
        ],
    ),
    control(
        Iso27001,
        "A.8.9",
        "Configuration management",
        &[K::EndpointExposed, K::EnforcementNone],
    ),
    control(
        Iso27001,
        "A.8.16",
        "Monitoring activities",
        &[K::BreakGlassUnseen],
    ),
    control(
        Iso27001,
        "A.8.20",
        "Networks security",
        &[K::EndpointExposed, K::SurfaceUnknown],
    ),
    control(
        Nist80053,
        "AC-2",
        "Account Management",
        &[
            K::WellKnownAccountActive,
            K::DormantUnprotected,
            K::BreakGlassUnseen,
        ],
    ),
    control(
        Nist80053,
        "AC-2(3)",
        "Disable Accounts",
        &[K::DormantUnprotected],
    ),
    control(
        Nist80053,
        "AC-2(12)",
        "Account Monitoring for Atypical Usage",
        &[K::BreakGlassUnseen],
    ),
    control(
        Nist80053,
        "AC-6",
        "Least Privilege",
        &[
            K::Impersonation,
            K::ExemptPrivileged,
            K::PollerPrivileged,
            K::PrivilegedUnrestrictedKeys,
        ],
    ),
    control(
        Nist80053,
        "AC-14",
        "Permitted Actions Without Identification or Authentication",
        &[K::EndpointExposed],
    ),
    control(
        Nist80053,
        "AC-17",
        "Remote Access",
        &[K::EndpointExposed, K::PasswordRpcOpen, K::SurfaceUnknown],
    ),
    control(
        Nist80053,
        "CA-7",
        "Continuous Monitoring",
        &[
            K::PollerKeyExpiring,
            K::ExemptionUnmatched,
            K::ConfiguredGroupMissing,
            K::CapabilityMissing,
            K::SurfaceUnknown,
            K::AcceptanceExpired,
            K::AcceptanceUnmatched,
        ],
    ),
    control(
        Nist80053,
        "CM-6",
        "Configuration Settings",
        &[K::TotpNotInstalled, K::EnforcementNone],
    ),
    control(
        Nist80053,
        "CM-7",
        "Least Functionality",
        &[K::EndpointExposed, K::PasswordRpcOpen],
    ),
    control(
        Nist80053,
        "IA-2",
        "Identification and Authentication (Organizational Users)",
        &[
            K::MasterPassword,
            K::WellKnownAccountActive,
            K::Impersonation,
        ],
    ),
    control(
        Nist80053,
        "IA-2(1)",
        "Multi-factor Authentication to Privileged Accounts",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::ExemptPrivileged,
            K::PrivilegedInGrace,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
        ],
    ),
    control(
        Nist80053,
        "IA-2(2)",
        "Multi-factor Authentication to Non-privileged Accounts",
        &[
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::CoverageBelowTarget,
            K::DormantUnprotected,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
        ],
    ),
    control(
        Nist80053,
        "IA-2(5)",
        "Individual Authentication with Group Authentication",
        &[K::MasterPassword, K::KioskHoldsApiKey],
    ),
    control(
        Nist80053,
        "IA-5",
        "Authenticator Management",
        &[
            K::PollerKeyExpiring,
            K::AdminLockoutRisk,
            K::KeysOfArchived,
            K::ClearTextApiKeys,
            K::PrivilegedKeysWithoutExpiry,
            K::KeysOld,
            K::SingleFactor,
            K::ManyKeys,
            K::KeysExpiring,
        ],
    ),
    control(
        Nist80053,
        "IA-5(6)",
        "Protection of Authenticators",
        &[K::ClearTextApiKeys],
    ),
    control(
        Nist80053,
        "IA-5(7)",
        "No Embedded Unencrypted Static Authenticators",
        &[K::ClearTextApiKeys],
    ),
    control(
        Nist80053,
        "IA-8",
        "Identification and Authentication (Non-organizational Users)",
        &[K::KeysOfPortal],
    ),
    control(
        Nist80053,
        "PS-4",
        "Personnel Termination",
        &[K::KeysOfArchived],
    ),
    control(
        Nist80053,
        "SC-7",
        "Boundary Protection",
        &[K::EndpointExposed, K::SurfaceUnknown],
    ),
    control(
        Nist80063b,
        "2.2.1",
        "Authentication Assurance Level 2: permitted authenticator types",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::DormantUnprotected,
            K::PrivilegedInGrace,
            K::KeysOfUnprotected,
            K::PasskeyOnly,
            K::SsoUnseen,
        ],
    ),
    control(
        Nist80063b,
        "2.2.2",
        "Authentication Assurance Level 2: authenticator and verifier requirements",
        &[K::AdminsWithoutPasskey],
    ),
    control(
        Nist80063b,
        "3.2.5",
        "Phishing resistance",
        &[K::AdminsWithoutPasskey],
    ),
    control(
        Nist80063b,
        "4.1.2.1",
        "Binding an additional authenticator",
        &[K::AdminLockoutRisk, K::SingleFactor],
    ),
    control(
        Nist80063b,
        "4.2",
        "Account recovery",
        &[K::AdminLockoutRisk, K::SingleFactor],
    ),
    control(Nist80063b, "5.1", "Session bindings", &[K::TrustedDevices]),
    control(
        CisControls,
        "4.7",
        "Manage Default Accounts on Enterprise Assets and Software",
        &[K::WellKnownAccountActive],
    ),
    control(
        CisControls,
        "4.8",
        "Uninstall or Disable Unnecessary Services on Enterprise Assets and Software",
        &[K::EndpointExposed],
    ),
    control(
        CisControls,
        "5.3",
        "Disable Dormant Accounts",
        &[K::DormantUnprotected],
    ),
    control(
        CisControls,
        "5.4",
        "Restrict Administrator Privileges to Dedicated Administrator Accounts",
        &[K::PollerPrivileged],
    ),
    control(
        CisControls,
        "6.2",
        "Establish an Access Revoking Process",
        &[K::KeysOfArchived],
    ),
    control(
        CisControls,
        "6.3",
        "Require MFA for Externally-Exposed Applications",
        &[
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::CoverageBelowTarget,
            K::DormantUnprotected,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
        ],
    ),
    control(
        CisControls,
        "6.5",
        "Require MFA for Administrative Access",
        &[
            K::AdminWithoutMfa,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::ExemptPrivileged,
            K::PrivilegedInGrace,
        ],
    ),
    control(
        CisControls,
        "6.8",
        "Define and Maintain Role-Based Access Control",
        &[
            K::Impersonation,
            K::ConfiguredGroupMissing,
            K::PrivilegedUnrestrictedKeys,
        ],
    ),
    control(
        Soc2,
        "CC6.1",
        "Logical access security",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::WellKnownAccountActive,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::Impersonation,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::KioskHoldsApiKey,
            K::ClearTextApiKeys,
            K::PrivilegedInGrace,
            K::PrivilegedKeysWithoutExpiry,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
            K::AdminsWithoutPasskey,
        ],
    ),
    control(
        Soc2,
        "CC6.2",
        "Registration and removal of credentials",
        &[K::KeysOfArchived, K::DormantUnprotected, K::KeysOld],
    ),
    control(
        Soc2,
        "CC6.3",
        "Access by role and least privilege",
        &[
            K::Impersonation,
            K::ExemptPrivileged,
            K::PollerPrivileged,
            K::ConfiguredGroupMissing,
            K::PrivilegedUnrestrictedKeys,
        ],
    ),
    control(
        Soc2,
        "CC6.6",
        "Protection against threats from outside",
        &[
            K::TrustedNetwork,
            K::EndpointExposed,
            K::PasswordRpcOpen,
            K::SurfaceUnknown,
        ],
    ),
    control(
        Nis2,
        "21(2)(e)",
        "Security in acquisition, development and maintenance",
        &[K::EndpointExposed, K::SurfaceUnknown],
    ),
    control(
        Nis2,
        "21(2)(f)",
        "Assessing the effectiveness of measures",
        &[
            K::CoverageBelowTarget,
            K::ExemptionUnmatched,
            K::ConfiguredGroupMissing,
            K::CapabilityMissing,
            K::SurfaceUnknown,
            K::AcceptanceExpired,
            K::AcceptanceUnmatched,
        ],
    ),
    control(
        Nis2,
        "21(2)(h)",
        "Cryptography and encryption",
        &[K::ClearTextApiKeys],
    ),
    control(
        Nis2,
        "21(2)(i)",
        "Access control policies",
        &[
            K::MasterPassword,
            K::WellKnownAccountActive,
            K::Impersonation,
            K::ExemptPrivileged,
            K::KioskHoldsApiKey,
            K::KeysOfArchived,
            K::DormantUnprotected,
            K::PollerPrivileged,
            K::ExemptionExpired,
            K::PrivilegedKeysWithoutExpiry,
            K::KeysOld,
            K::PrivilegedUnrestrictedKeys,
            K::KeysOfPortal,
            K::ManyKeys,
            K::BreakGlassUnseen,
        ],
    ),
    control(
        Nis2,
        "21(2)(j)",
        "Multi-factor authentication",
        &[
            K::AdminWithoutMfa,
            K::MasterPassword,
            K::TrustedNetwork,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::PasswordRpcOpen,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::DormantUnprotected,
            K::PrivilegedInGrace,
            K::KeysOfUnprotected,
            K::TrustedDevices,
            K::PasskeyOnly,
            K::SsoUnseen,
            K::AdminsWithoutPasskey,
        ],
    ),
    control(
        Asvs,
        "V6.3.2",
        "Default accounts (L1)",
        &[K::WellKnownAccountActive],
    ),
    control(
        Asvs,
        "V6.3.3",
        "Multi-factor authentication (L2)",
        &[
            K::AdminWithoutMfa,
            K::TotpNotInstalled,
            K::PrivilegedWithoutMfa,
            K::EnforcementNone,
            K::CoverageBelowTarget,
            K::ExemptPrivileged,
            K::DormantUnprotected,
            K::PrivilegedInGrace,
            K::KeysOfUnprotected,
            K::AdminsWithoutPasskey,
        ],
    ),
    control(
        Asvs,
        "V6.3.4",
        "Consistent strength of authentication pathways (L2)",
        &[
            K::MasterPassword,
            K::TrustedNetwork,
            K::PasswordRpcOpen,
            K::Impersonation,
            K::TrustedDevices,
            K::PasskeyOnly,
        ],
    ),
    control(
        Asvs,
        "V6.4.5",
        "Renewal of expiring authentication mechanisms (L3)",
        &[K::PollerKeyExpiring, K::KeysExpiring],
    ),
    control(
        Asvs,
        "V6.8.4",
        "Authentication strength from an identity provider (L2)",
        &[K::SsoUnseen],
    ),
    control(
        Asvs,
        "V13.2.1",
        "Authentication between backend components (L2)",
        &[K::PrivilegedKeysWithoutExpiry],
    ),
    control(
        Asvs,
        "V13.2.2",
        "Least privilege between backend components (L2)",
        &[K::PollerPrivileged, K::PrivilegedUnrestrictedKeys],
    ),
    control(
        Asvs,
        "V13.3.1",
        "Secrets management (L2)",
        &[K::ClearTextApiKeys],
    ),
    control(
        Asvs,
        "V13.3.4",
        "Expiry and rotation of secrets (L3)",
        &[K::PrivilegedKeysWithoutExpiry, K::KeysOld],
    ),
];

/// The table of docs/controls.md: for each kind of finding the clauses of each framework.
pub fn reference() -> String {
    use std::fmt::Write;
    let mut text = String::from("| finding | controls |\n|---|---|\n");
    for kind in K::ALL.iter().copied() {
        let mut by_framework: Vec<(Framework, Vec<&str>)> = Vec::new();
        for control in controls(kind) {
            match by_framework.last_mut() {
                Some((framework, clauses)) if *framework == control.framework => {
                    clauses.push(control.clause);
                }
                _ => by_framework.push((control.framework, vec![control.clause])),
            }
        }
        let cell: Vec<String> = by_framework
            .iter()
            .map(|(framework, clauses)| format!("{} {}", framework.name(), clauses.join(", ")))
            .collect();
        let cell = if cell.is_empty() {
            "none".to_owned()
        } else {
            cell.join("; ")
        };
        let _ = writeln!(text, "| `{kind}` | {cell} |");
    }
    for framework in Framework::ALL {
        let _ = write!(
            text,
            "\n### {}\n\n`--framework {framework}`. {}\n\n| clause | about | findings |\n|---|---|---|\n",
            framework.name(),
            framework.note()
        );
        for control in CONTROLS.iter().filter(|it| it.framework == *framework) {
            let findings: Vec<String> = control
                .findings
                .iter()
                .map(|it| format!("`{it}`"))
                .collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                control.clause,
                control.title,
                findings.join(", ")
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_clause_stands_once_and_names_each_finding_once() {
        let clauses: BTreeSet<_> = CONTROLS
            .iter()
            .map(|it| (it.framework, it.clause))
            .collect();
        assert_eq!(clauses.len(), CONTROLS.len());
        for control in CONTROLS {
            let findings: BTreeSet<_> = control.findings.iter().collect();
            assert!(!findings.is_empty(), "{}", control.clause);
            assert_eq!(findings.len(), control.findings.len(), "{}", control.clause);
        }
        assert!(CONTROLS.is_sorted_by_key(|it| it.framework));
        let none: Vec<_> = K::ALL
            .iter()
            .filter(|it| controls(**it).next().is_none())
            .collect();
        assert_eq!(
            none,
            [&K::ClocksDiffer, &K::PollerNotExempt],
            "findings without a control"
        );
    }

    /// `UPDATE_DOCS=1` writes it anew.
    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/controls.md");
        let text = std::fs::read_to_string(path).expect("the page");
        let (head, rest) = text
            .split_once("<!-- controls: generated -->\n")
            .expect("its beginning");
        let (_, tail) = rest.split_once("<!-- /controls -->").expect("its end");
        let table = reference();
        let wanted = format!("{head}<!-- controls: generated -->\n{table}<!-- /controls -->{tail}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).expect("the page is writable");
        }
        let current = std::fs::read_to_string(path).expect("the page");
        assert!(
            current == wanted,
            "docs/controls.md is not what src/domain/finding/controls.rs says: UPDATE_DOCS=1 cargo test --lib controls"
        );
    }
}
