//! odoo-mfa-exporter.

pub mod domain;
