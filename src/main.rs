//! The `odoo-mfa-exporter` command: parses the command line and leaves with an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    odoo_mfa_exporter::cli::run()
}
