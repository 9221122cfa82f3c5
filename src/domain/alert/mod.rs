//! Alerts: a closed set of rules, which of them hold at a moment, and how an alert lives. Pure: time and everything else is handed in.
//!
//! [`evaluate()`] says which alerts are active and which are *held*, because what they judge is unknown; [`step`] turns that into
//! pending, firing and resolved alerts. A target that is down holds its alerts: they neither fire, resolve nor start again, and only the
//! alerts on its polls are evaluated.
//!
//! From the bottom up, each file uses only those before it: [`rule`], [`mod@labels`], [`template`], [`settings`], [`text`];
//! [`concern`], [`view`], [`judge`]; [`state`], [`evaluation`], [`mod@evaluate`], [`lifecycle`].

mod concern;
mod evaluate;
mod evaluation;
mod judge;
mod labels;
mod lifecycle;
mod rule;
mod settings;
mod state;
mod template;
mod text;
mod view;

pub use concern::{Concern, concerned};
pub use evaluate::{ENVIRONMENT, evaluate, labels};
pub use evaluation::{Active, Evaluation, Held};
pub use labels::{Fingerprint, Labels, ORIGIN};
pub use lifecycle::{Event, RESOLVED_FOR, step};
pub use rule::{Rule, Severity, Threshold};
pub use settings::{Matcher, Rules, Settings, Silence};
pub use state::{Phase, State, States};
pub use template::{InvalidTemplate, Template};
pub use text::{Detail, annotations, runbook, runbook_url};
pub use view::{ExporterView, FleetView};

#[cfg(test)]
mod tests;
