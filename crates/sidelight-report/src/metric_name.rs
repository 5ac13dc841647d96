//! A metric as pages name it.

use sidelight_evidence::metric::{Better, Metric, better};

/// A metric's name, what it means and which way it improves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// As in `metrics.json`.
    pub name: String,
    /// In words; empty for a metric that is not in [`METRICS`](sidelight_evidence::metric::METRICS).
    pub meaning: String,
    /// Which way it improves.
    pub better: Better,
}

impl MetricName {
    /// The metric of this name; one that is not in [`METRICS`](sidelight_evidence::metric::METRICS) has no words and counts as
    /// higher-is-better.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            meaning: Metric::named(name).map_or_else(String::new, |metric| metric.meaning()),
            better: better(name),
        }
    }
}
