//! Metrics with their values at one moment, and how they are written as OpenMetrics.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::table::{ALL, Metric};

/// The values of metrics at one moment.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    samples: BTreeMap<&'static str, Vec<Sample>>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Sheet {
    /// A metric without labels.
    pub(super) fn put(&mut self, metric: &'static Metric, value: f64) {
        self.put_by(metric, [], value);
    }

    /// A metric with a value for each of its labels.
    pub(super) fn put_by<const N: usize>(
        &mut self,
        metric: &'static Metric,
        labels: [&dyn fmt::Display; N],
        value: f64,
    ) {
        let labels = metric.labels.iter().copied().zip(labels.iter().map(ToString::to_string)).collect();
        self.samples.entry(metric.name).or_default().push(Sample { labels, value });
    }

    /// The same in the older text format of Prometheus: a counter's type and help stand under its whole name, and
    /// there are no units and no end.
    pub(super) fn print_plain(self) -> Result<String, fmt::Error> {
        let names: BTreeMap<String, String> =
            ALL.iter().map(|metric| (metric.family(), metric.full_name())).collect();
        let mut plain = String::new();
        for line in self.print()?.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
            let mut words = line.splitn(4, ' ');
            match (
                words.next(),
                words.next(),
                words.next().and_then(|family| names.get(family)),
                words.next(),
            ) {
                (Some("#"), Some(what), Some(name), Some(said)) => {
                    writeln!(plain, "# {what} {name} {said}")?;
                }
                _ => writeln!(plain, "{line}")?,
            }
        }
        Ok(plain)
    }

    /// The text, with its `# EOF`.
    pub(super) fn print(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("sigfox2mqtt");
        registry.register_collector(Box::new(Collected(self)));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct Collected(Sheet);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in ALL {
            let Some(samples) = self.0.samples.get(metric.name) else { continue };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, metric.unit, metric.kind)?;
            for Sample { labels, value } in samples {
                let labels = labels.as_slice();
                // Without labels, as the format's own examples write it: no empty braces.
                if labels.is_empty() {
                    write(family, metric, *value)?;
                    break;
                }
                write(family.encode_family(&labels)?, metric, *value)?;
            }
        }
        Ok(())
    }
}

fn write(encoder: MetricEncoder<'_>, metric: &Metric, value: f64) -> fmt::Result {
    match metric.kind {
        MetricType::Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(value).encode(encoder),
    }
}
