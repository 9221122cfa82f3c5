//! One target that is given by options instead of a configuration file.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use reqwest::Url;

use super::{MISCONFIGURED, load, print_diagnostics, url};
use crate::config::{Config, Env, FileContent, ProcessEnv};

/// Name of the configuration in errors.
const FILE: &str = "command line";

/// Options of the commands that take one target without a configuration file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "One target, without a configuration file")]
pub(super) struct OneTarget {
    /// The URL of Odoo, such as `https://erp.example.com`.
    #[arg(long, value_parser = url, requires = "database", requires = "api_key_file")]
    url: Option<String>,
    /// The database.
    #[arg(long, requires = "url")]
    database: Option<String>,
    /// The login of the polling account. Odoo 19 and later need none.
    #[arg(long, requires = "url")]
    login: Option<String>,
    /// The file with the account's API key.
    #[arg(long, value_name = "FILE", requires = "url")]
    api_key_file: Option<PathBuf>,
    /// Allow http:// to another host: the API key is sent without encryption.
    #[arg(long, requires = "url")]
    allow_plain_http: bool,
}

impl OneTarget {
    /// The configuration: of the options if there are any, else of the file.
    pub(super) fn load(&self, file: &Path) -> Result<Config, ExitCode> {
        let Some(text) = self.configuration() else {
            return load(file);
        };
        let env = Options(text);
        let (config, mut diagnostics) = match Config::load(Path::new(FILE), &env) {
            Ok((config, warnings)) => (Some(config), warnings),
            Err(diagnostics) => (None, diagnostics),
        };
        for diagnostic in &mut diagnostics {
            // The reader never saw this file.
            diagnostic.position = None;
        }
        print_diagnostics(&diagnostics);
        config.ok_or_else(|| ExitCode::from(MISCONFIGURED))
    }

    /// The configuration file that polls this target, as YAML; `None` without options.
    pub(super) fn configuration(&self) -> Option<String> {
        let url: Url = self.url.as_ref()?.parse().ok()?;
        let host = url.host_str().unwrap_or_default();
        let name = match host.split_once('.') {
            Some((name, _)) if !name.starts_with(|first: char| first.is_ascii_digit()) => name,
            _ => "erp",
        };
        // JSON strings are YAML.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = format!(
            "targets:\n- name: {}\n  url: {}\n",
            quoted(name),
            quoted(url.as_str())
        );
        let key = self
            .api_key_file
            .as_ref()
            .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let fields = [
            ("database", self.database.clone()),
            ("login", self.login.clone()),
            ("api_key_file", key.map(|path| path.display().to_string())),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                text += &format!("  {field}: {}\n", quoted(&value));
            }
        }
        if self.allow_plain_http {
            text += "  allow_plain_http: true\n";
        }
        Some(text)
    }
}

/// A configuration that is in no file; the key is in one.
struct Options(String);

impl Env for Options {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        if path != Path::new(FILE) {
            return ProcessEnv.file(path);
        }
        Ok(FileContent {
            bytes: self.0.clone().into_bytes(),
            mode: 0o600,
        })
    }

    fn var(&self, name: &str) -> Option<String> {
        ProcessEnv.var(name)
    }
}
