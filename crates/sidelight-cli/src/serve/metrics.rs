//! Counts and times in the text format that Prometheus reads,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::models::Models;

const SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What has happened since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    began: Instant,
    state: Mutex<State>,
}

/// Keys are few: the routes that there are, statuses, models.
#[derive(Debug, Default)]
struct State {
    requests: BTreeMap<(String, u16), u64>,
    seconds: BTreeMap<String, Histogram<11>>,
    batches: BTreeMap<String, Histogram<9>>,
    reloads: BTreeMap<(String, bool), u64>,
}

#[derive(Debug, Clone, Copy)]
struct Histogram<const N: usize> {
    /// Per bound, how many were at most that.
    within: [u64; N],
    n: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            within: [0; N],
            n: 0,
            sum: 0.0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    fn add(&mut self, value: f64, bounds: &[f64; N]) {
        for (count, bound) in self.within.iter_mut().zip(bounds) {
            *count += u64::from(value <= *bound);
        }
        self.n += 1;
        self.sum += value;
    }

    fn write(&self, out: &mut String, name: &str, labels: &str, bounds: &[f64; N]) {
        for (count, bound) in self.within.iter().zip(bounds) {
            line(
                out,
                &format!("{name}_bucket"),
                &format!("{labels},le=\"{bound}\""),
                count,
            );
        }
        line(
            out,
            &format!("{name}_bucket"),
            &format!("{labels},le=\"+Inf\""),
            self.n,
        );
        line(out, &format!("{name}_sum"), labels, self.sum);
        line(out, &format!("{name}_count"), labels, self.n);
    }
}

impl Metrics {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// A request was answered; `route` is a route that there is.
    pub(crate) fn request(&self, route: &str, status: u16, took: Duration) {
        self.change(|state| {
            *state.requests.entry((route.into(), status)).or_default() += 1;
            let seconds = state.seconds.entry(route.into()).or_default();
            seconds.add(took.as_secs_f64(), &SECONDS);
        });
    }

    /// Rows were predicted together.
    pub(crate) fn batch(&self, model: &str, rows: usize) {
        self.change(|state| {
            let batches = state.batches.entry(model.into()).or_default();
            batches.add(rows as f64, &ROWS);
        });
    }

    /// A model's folder was read again, or could not be.
    pub(crate) fn reload(&self, model: &str, is_done: bool) {
        self.change(|state| *state.reloads.entry((model.into(), is_done)).or_default() += 1);
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of it as text.
    pub(crate) fn text(&self, models: &Models) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        head(
            &mut out,
            "sidelight_requests_total",
            "counter",
            "Requests answered.",
        );
        for ((route, status), count) in &state.requests {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            line(&mut out, "sidelight_requests_total", &labels, count);
        }
        head(
            &mut out,
            "sidelight_request_seconds",
            "histogram",
            "From the request's head to its answer.",
        );
        for (route, seconds) in &state.seconds {
            seconds.write(
                &mut out,
                "sidelight_request_seconds",
                &format!("route=\"{route}\""),
                &SECONDS,
            );
        }
        head(
            &mut out,
            "sidelight_batch_rows",
            "histogram",
            "Rows predicted together; the sum is all rows.",
        );
        for (model, batches) in &state.batches {
            batches.write(&mut out, "sidelight_batch_rows", &of(model), &ROWS);
        }
        head(
            &mut out,
            "sidelight_queue_rows",
            "gauge",
            "Rows taken on and not yet answered.",
        );
        for model in models.all() {
            line(
                &mut out,
                "sidelight_queue_rows",
                &of(&model.name),
                model.places.taken(),
            );
        }
        head(
            &mut out,
            "sidelight_reloads_total",
            "counter",
            "Times that a changed model was read again.",
        );
        for ((model, is_done), count) in &state.reloads {
            let labels = format!(
                "{},outcome=\"{}\"",
                of(model),
                if *is_done { "done" } else { "failed" }
            );
            line(&mut out, "sidelight_reloads_total", &labels, count);
        }
        head(
            &mut out,
            "sidelight_uptime_seconds",
            "gauge",
            "Since the start.",
        );
        let _ = writeln!(
            out,
            "sidelight_uptime_seconds {}",
            self.began.elapsed().as_secs_f64()
        );
        out
    }
}

fn of(model: &str) -> String {
    let model = model
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("model=\"{model}\"")
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "{name}{{{labels}}} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_all_that_is_at_most_a_bound() {
        let mut histogram = Histogram::<9>::default();
        for rows in [1.0, 3.0, 1000.0] {
            histogram.add(rows, &ROWS);
        }
        let mut out = String::new();
        histogram.write(&mut out, "rows", &of("a\"b"), &ROWS);
        assert!(
            out.starts_with("rows_bucket{model=\"a\\\"b\",le=\"1\"} 1\n"),
            "{out}"
        );
        assert!(
            out.contains("le=\"4\"} 2\n") && out.contains("le=\"+Inf\"} 3\n"),
            "{out}"
        );
        assert!(
            out.ends_with("rows_sum{model=\"a\\\"b\"} 1004\nrows_count{model=\"a\\\"b\"} 3\n"),
            "{out}"
        );
    }
}
