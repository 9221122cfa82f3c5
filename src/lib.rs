//! odoo-mfa-exporter.
