//! The two text formats: OpenMetrics 1.0, and the classic 0.0.4.
//!
//! `prometheus-client` writes OpenMetrics. The classic text has the very same lines of samples under other headers, so that the two
//! cannot disagree.

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::TargetSnapshot;
use crate::domain::snapshot::Identity;

use super::catalog::{ExporterReading, Family, Kind, Label, Samples, Source, Value};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Classic,
}

/// Input of the encoder: one of the two kinds of sources that families read.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Targets, in the order of the configuration.
    Targets(Arc<[Labelled]>),
    /// The exporter.
    Exporter(Arc<ExporterReading>),
}

/// A target, and its labels as each of its samples has them.
#[derive(Debug)]
pub struct Labelled {
    target: Arc<TargetSnapshot>,
    /// `target="…",team="…"`
    labels: String,
}

impl Labelled {
    fn new(target: &Arc<TargetSnapshot>) -> Self {
        let Identity { name, labels, .. } = &*target.identity;
        let mut text = format!("target=\"{}\"", escaped(name));
        for (name, value) in labels {
            text = text + "," + name + "=\"" + &escaped(value) + "\"";
        }
        Self {
            target: Arc::clone(target),
            labels: text,
        }
    }
}

/// The value of a label between its quotes, as the library writes it.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', r#"\""#);
    value.replace('\n', r"\n")
}

impl Subject {
    /// These targets.
    pub fn targets(targets: &[Arc<TargetSnapshot>]) -> Self {
        Self::Targets(targets.iter().map(Labelled::new).collect())
    }
}

/// Writes the samples of one family. A family without samples leaves no trace.
///
/// # Errors
/// Those of the writer.
pub fn family(
    out: &mut impl Write,
    format: Format,
    family: &'static Family,
    subject: &Subject,
) -> fmt::Result {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(FamilyCollector {
        family,
        subject: subject.clone(),
    }));
    match format {
        Format::OpenMetrics => prometheus_client::encoding::text::encode_registry(out, &registry),
        Format::Classic => {
            let mut out = ClassicHeader::new(out, family);
            prometheus_client::encoding::text::encode_registry(&mut out, &registry)
        }
    }
}

/// Writes what ends a whole exposition.
///
/// # Errors
/// Those of the writer.
pub fn end(out: &mut impl Write, format: Format) -> fmt::Result {
    match format {
        Format::OpenMetrics => prometheus_client::encoding::text::encode_eof(out),
        Format::Classic => Ok(()),
    }
}

#[derive(Debug)]
struct FamilyCollector {
    family: &'static Family,
    subject: Subject,
}

impl Collector for FamilyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let family = self.family;
        // Not Unit::Ratios and the like: the units of the names are singular where the library's are not.
        let unit = family.unit().map(|unit| Unit::Other(unit.into()));
        let stem = match family.unit() {
            Some(unit) => &family.metric_name()[..family.metric_name().len() - unit.len() - 1],
            None => family.metric_name(),
        };
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let mut encoder = Some(&mut encoder);
        let mut opened: Option<MetricEncoder> = None;
        let mut result = Ok(());
        self.for_each_sample(&mut |labels, value| {
            if result.is_ok() {
                result = (|| {
                    if let Some(encoder) = encoder.take() {
                        opened = Some(encoder.encode_descriptor(
                            stem,
                            family.help,
                            unit.as_ref(),
                            kind,
                        )?);
                    }
                    if labels.is_empty() {
                        // Without labels there is one sample only.
                        let metric = opened.take().ok_or(fmt::Error)?;
                        return write_value(metric, family.kind, value);
                    }
                    let metric = opened.as_mut().ok_or(fmt::Error)?;
                    write_value(metric.encode_family(labels)?, family.kind, value)
                })();
            }
        });
        result
    }
}

impl FamilyCollector {
    fn for_each_sample(&self, take: &mut dyn FnMut(&Labels, Value)) {
        let mut read = |target: Option<&Labelled>, read: &dyn Fn(&mut Samples)| {
            read(&mut Samples::new(&mut |values, value| {
                let names = self.family.labels;
                debug_assert_eq!(names.len(), values.len(), "{}", self.family.name);
                take(
                    &Labels {
                        target: target.map(|it| it.labels.as_str()),
                        names,
                        values,
                    },
                    value,
                );
            }));
        };
        match (&self.subject, self.family.source) {
            (Subject::Targets(targets), Source::Target(of)) => {
                for it in targets.iter() {
                    read(Some(it), &|samples| of(&it.target, samples));
                }
            }
            (Subject::Targets(targets), Source::Counters(of)) => {
                for it in targets.iter() {
                    if let Some(counters) = &it.target.counters {
                        read(Some(it), &|samples| of(counters, samples));
                    }
                }
            }
            (Subject::Targets(targets), Source::Posture(of)) => {
                for it in targets.iter() {
                    if let Some(posture) = &it.target.posture {
                        read(Some(it), &|samples| of(posture, samples));
                    }
                }
            }
            (Subject::Exporter(exporter), Source::Exporter(of)) => {
                read(None, &|samples| of(exporter, samples));
            }
            _ => {}
        }
    }
}

fn write_value(mut metric: MetricEncoder, kind: Kind, value: Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
        }
        (Kind::Counter, Value::Real(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
        }
        (_, Value::Whole(value)) => metric.encode_gauge(&value),
        (_, Value::Real(value)) => metric.encode_gauge(&value),
        (_, Value::Histogram(histogram)) => histogram.encode(metric),
    }
}

/// The labels of one sample: the target's, then the family's own.
struct Labels<'a> {
    /// As [`Labelled`] has them.
    target: Option<&'a str>,
    names: &'static [Label],
    values: &'a [&'a str],
}

impl Labels<'_> {
    fn is_empty(&self) -> bool {
        self.target.is_none() && self.names.is_empty()
    }
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        if let Some(labels) = self.target {
            // The library writes a label's name as it is, and this as one name.
            encoder
                .encode_label()
                .encode_label_key()?
                .write_str(labels)?;
        }
        for (label, value) in self.names.iter().zip(self.values) {
            (label.name, *value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// Puts the classic header in the place of the OpenMetrics one, and passes the samples on as they are.
struct ClassicHeader<'a, W> {
    out: &'a mut W,
    family: &'static Family,
    /// Lines of the OpenMetrics header that have not ended yet.
    left: usize,
}

impl<'a, W: Write> ClassicHeader<'a, W> {
    fn new(out: &'a mut W, family: &'static Family) -> Self {
        // HELP, TYPE and, where there is one, UNIT.
        let left = 2 + usize::from(family.unit().is_some());
        Self { out, family, left }
    }
}

impl<W: Write> Write for ClassicHeader<'_, W> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while self.left > 0 {
            let Some((_, rest)) = text.split_once('\n') else {
                return Ok(());
            };
            text = rest;
            self.left -= 1;
            if self.left == 0 {
                let Family { name, help, .. } = self.family;
                let kind = self.family.kind.as_str();
                write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")?;
            }
        }
        self.out.write_str(text)
    }
}
