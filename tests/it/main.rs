//! Tests of the whole, as its users see it.

mod exposition;
mod harness;
mod metrics_reference;
mod prometheus;
mod web;
