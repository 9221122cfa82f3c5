//! The `odoo-mfa-exporter` command: parses the command line and leaves with an exit code.

fn main() {}
