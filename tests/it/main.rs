//! Tests of the whole, as its users see it.

mod exposition;
mod harness;
mod metrics_reference;
mod oracle;
mod prometheus;
mod refusals;
mod stack;
mod web;
