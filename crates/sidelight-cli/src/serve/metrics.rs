//! Counts and times in the OpenMetrics text format, which Prometheus reads.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics since the start of the server. Labels take few values: routes that exist, statuses, models.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histograms<RouteLabel>,
    batches: Histograms<ModelLabel>,
    queues: Family<ModelLabel, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    uptime: Gauge<f64, AtomicU64>,
    began: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    model: String,
    outcome: &'static str,
}

impl Metrics {
    /// Metrics that have counted nothing.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sidelight"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            batches: Family::new_with_constructor(|| Histogram::new(ROWS)),
            queues: Family::default(),
            reloads: Family::default(),
            uptime: Gauge::default(),
            began: Instant::now(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "From the head of a request to its answer",
            metrics.seconds.clone(),
        );
        registry.register(
            "batch_rows",
            "Rows predicted together; the sum counts all rows",
            metrics.batches.clone(),
        );
        registry.register(
            "queue_rows",
            "Rows accepted and not yet answered",
            metrics.queues.clone(),
        );
        registry.register(
            "reloads",
            "Reloads of a model whose folder changed",
            metrics.reloads.clone(),
        );
        registry.register(
            "uptime_seconds",
            "Time since the start",
            metrics.uptime.clone(),
        );
        metrics
    }

    /// Counts an answered request; `route` is a route that exists.
    pub(crate) fn request(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let seconds = self.seconds.get_or_create_owned(&RouteLabel {
            route: route.clone(),
        });
        seconds.observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels { route, status })
            .inc();
    }

    /// The sizes of a model's batches.
    pub(crate) fn batch_rows(&self, model: &str) -> Histogram {
        let model = model.to_owned();
        self.batches.get_or_create_owned(&ModelLabel { model })
    }

    /// The rows in a model's queue.
    pub(crate) fn queue_rows(&self, model: &str) -> Gauge {
        let model = model.to_owned();
        self.queues.get_or_create_owned(&ModelLabel { model })
    }

    /// Counts a reload of a model's changed folder, or the failure of one.
    pub(crate) fn reload(&self, model: &str, is_done: bool) {
        let labels = ReloadLabels {
            model: model.to_owned(),
            outcome: if is_done { "done" } else { "failed" },
        };
        self.reloads.get_or_create(&labels).inc();
    }

    /// All metrics as text, of the type [`CONTENT_TYPE`].
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        self.uptime.set(self.began.elapsed().as_secs_f64());
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
