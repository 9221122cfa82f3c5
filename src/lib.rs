//! odoo-mfa-exporter.

pub mod demo;
