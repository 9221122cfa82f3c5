//! `rules`: the Prometheus rules, fitted to a place.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::printed;
use super::url;

/// The rules as they are committed: those of the job `odoo-mfa-exporter` with the runbooks of the repository.
const RULES: &str = include_str!("../../alerts/odoo-mfa.rules.yml");
/// The job name in the committed rules.
const JOB: &str = "odoo-mfa-exporter";

/// The head of a `PrometheusRule`, before the groups.
const OPERATOR: &str = "\
# Output of `odoo-mfa-exporter rules --format operator`. Your Prometheus may select by a label here (ruleSelector).
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: odoo-mfa-exporter
  namespace: odoo-mfa-exporter
  labels:
    app.kubernetes.io/name: odoo-mfa-exporter
spec:
";

/// Options of `rules`.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// Name of the scrape job.
    #[arg(long, value_name = "NAME", default_value = JOB, value_parser = job)]
    job: String,
    /// Address of the runbooks, to which the name of the alert is added. The exporter serves them under /runbooks.
    #[arg(long, value_name = "URL", value_parser = url)]
    runbook_url: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    format: Format,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A rule file.
    Prometheus,
    /// A `PrometheusRule` of the Prometheus operator.
    Operator,
}

/// Prints the rules.
pub(super) fn rules(what: &Rules) -> ExitCode {
    printed(what.text(), ExitCode::SUCCESS)
}

impl Rules {
    fn text(&self) -> String {
        let own = format!("job=\"{JOB}\"");
        let job = format!("job=\"{}\"", self.job);
        let mut text = String::with_capacity(2 * RULES.len());
        if self.format == Format::Operator {
            text += OPERATOR;
        }
        for line in RULES.lines() {
            if self.format == Format::Operator && !line.is_empty() {
                text += "  ";
            }
            match (&self.runbook_url, line.split_once("runbook_url: ")) {
                (Some(base), Some((indent, page))) => {
                    let name = page.rsplit('/').next().unwrap_or_default();
                    let name = name.trim_end_matches(".md");
                    let base = base.trim_end_matches('/');
                    text += &format!("{indent}runbook_url: {base}/{name}");
                }
                _ => text += &line.replace(&own, &job),
            }
            text.push('\n');
        }
        text
    }
}

/// A name that needs no quoting in an expression and in YAML.
fn job(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a job's name has letters, digits, and -_./: only".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(format: Format) -> Rules {
        Rules {
            job: JOB.into(),
            runbook_url: None,
            format,
        }
    }

    #[test]
    fn the_committed_files_are_its_output() {
        assert!(rules(Format::Prometheus).text() == RULES);
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/packaging/kubernetes/prometheus-operator/prometheusrule.yaml"
        );
        let operator = rules(Format::Operator).text();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &operator).expect("the file is writable");
        }
        assert!(
            std::fs::read_to_string(path).expect("a file of this project") == operator,
            "the PrometheusRule is not current: UPDATE_DOCS=1 cargo test --lib rules"
        );
    }

    #[test]
    fn another_job_and_other_runbooks_replace_all() {
        let text = Rules {
            job: "mfa/prod:1".into(),
            runbook_url: Some("https://mfa.example.com/runbooks/".into()),
            ..rules(Format::Prometheus)
        }
        .text();
        let count = |text: &str, what: &str| text.matches(what).count();
        assert_eq!(count(&text, "job=\"odoo-mfa-exporter\""), 0);
        assert_eq!(
            count(&text, "job=\"mfa/prod:1\""),
            count(RULES, "job=\"odoo-mfa-exporter\"")
        );
        assert_eq!(
            count(
                &text,
                "runbook_url: https://mfa.example.com/runbooks/OdooMfa"
            ),
            count(RULES, "runbook_url: ")
        );
        assert_eq!(count(&text, "github.com"), 0);
        assert!(!text.contains(".md\n"));
        assert!(job("a\"b").is_err() && job("").is_err() && url("runbooks").is_err());
    }
}
