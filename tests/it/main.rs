//! Tests of the whole, as its users see it.

#![allow(
    clippy::too_many_lines,
    reason = "a test that tells a story reads better whole"
)]

mod access;
mod alert_rules;
mod alerting;
mod api;
mod causes;
mod clocks;
mod commands;
mod companion;
mod completeness;
mod daemon;
mod directory;
mod engines;
mod exposition;
mod generated;
mod harness;
mod hostile;
mod layers;
mod limits;
mod logs;
mod metrics_reference;
mod oracle;
mod packaging;
mod pages;
mod prometheus;
mod proxied;
mod refusals;
mod reload;
mod reports;
mod served;
mod stack;
mod surface;
mod systemd;
mod weaker;
mod web;
mod web_config;
