//! Tests of the whole, as its users see it.

mod alert_rules;
mod alerting;
mod commands;
mod daemon;
mod exposition;
mod generated;
mod harness;
mod layers;
mod logs;
mod metrics_reference;
mod oracle;
mod packaging;
mod prometheus;
mod refusals;
mod reload;
mod stack;
mod systemd;
mod web;
