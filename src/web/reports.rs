//! What reports say beside the numbers: whose they are, what is accepted, and the notes of exemptions. A reload replaces it.
//!
//! No poll depends on it, so a change here restarts none.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Config, Target};
use crate::domain::acceptance::{Acceptance, Accepted};
use crate::domain::exemption::Exemption;
use crate::domain::finding::Case;
use crate::domain::grade::Grade;
use crate::domain::standing;

/// The settings of reports, as the newest configuration says. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Reports(Arc<ArcSwap<ReportSettings>>);

/// One configuration's settings.
#[derive(Debug, Default)]
pub struct ReportSettings {
    /// Whose reports they are.
    pub organization: Option<String>,
    /// Accepted findings.
    pub accept_findings: Vec<Acceptance>,
    /// Every target of the configuration, also those of other shards.
    pub targets: Vec<Arc<Target>>,
    /// The exemptions of the defaults.
    pub exemptions: Vec<Exemption>,
}

impl Reports {
    /// Takes the settings of a configuration from now on.
    pub fn configure(&self, config: &Config) {
        self.0.store(Arc::new(ReportSettings {
            organization: config.organization.clone(),
            accept_findings: config.accept_findings.clone(),
            targets: config.targets.clone(),
            exemptions: config.shared_exemptions().cloned().collect(),
        }));
    }

    /// The settings at present.
    pub fn current(&self) -> Arc<ReportSettings> {
        self.0.load_full()
    }
}

impl ReportSettings {
    /// The grade of a target, without what accepted findings are about.
    pub fn grade(&self, target: &str, case: &Case) -> Grade {
        let today = standing::today(case.facts);
        Grade::accepting(case, &Accepted::of(&self.accept_findings, target, today))
    }

    /// A target of the configuration.
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.targets.iter().find(|it| it.name == name)
    }

    /// The exemptions of a target with the notes of now, where they are the ones that its poll counted.
    pub fn noted<'a>(&'a self, target: &str, counted: &'a [Exemption]) -> &'a [Exemption] {
        let Some(target) = self.target(target) else {
            return counted;
        };
        let plain = |it: &Exemption| Exemption {
            note: Default::default(),
            ..it.clone()
        };
        if target
            .exemptions
            .iter()
            .map(plain)
            .eq(counted.iter().map(plain))
        {
            &target.exemptions
        } else {
            counted
        }
    }
}
