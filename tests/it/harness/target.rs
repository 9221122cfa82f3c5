//! Targets and whole configurations, as a configuration file gives them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use odoo_mfa_exporter::config::{Config, Env, FileContent, ProcessEnv, Target};
use odoo_mfa_exporter::domain::role::Roles;

/// A key that must show nowhere.
pub const CANARY: &str = "c4na7y0c4na7y0c4na7y0c4na7y0c4na7y0c4na7y";

/// Name of a configuration that is in memory only.
const NAME: &str = "test.yml";

/// A configuration in memory; the files that it names are real.
struct Text(String);

impl Env for Text {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        if path != Path::new(NAME) {
            return ProcessEnv.file(path);
        }
        Ok(FileContent {
            bytes: self.0.clone().into_bytes(),
            mode: 0o600,
        })
    }

    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

/// Resolves a configuration that must be right.
pub fn config(yaml: &str) -> Config {
    match Config::load(Path::new(NAME), &Text(yaml.to_owned())) {
        Ok((config, _)) => config,
        Err(diagnostics) => panic!("{diagnostics:#?}"),
    }
}

/// The one target of a configuration, and the default roles.
pub fn from_yaml(target: &str) -> (Arc<Target>, Roles) {
    let config = config(&format!("targets: [{target}]"));
    (Arc::clone(&config.targets[0]), config.roles)
}
