//! odoo-mfa-exporter.

pub mod config;
pub mod domain;
