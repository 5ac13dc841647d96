//! The page of a search for a learning rate.

use super::chart::{LineChart, ScaleKind, Series};
use super::number::number;
use super::page::{self, Page};

/// The smoothed loss at each rate that was tried, and the rate to take, as a page.
///
/// # Example
///
/// ```
/// let page = sidelight_report::rate_page("a.toml", &[1e-3, 1e-2], &[0.9, 0.4], Some(1e-3));
/// assert!(page.contains("<svg"));
/// ```
pub fn rate_page(title: &str, rates: &[f64], losses: &[f64], suggestion: Option<f64>) -> String {
    let lead = match suggestion {
        Some(rate) => format!(
            "Take a learning rate of about {}: {} steps were tried, and before that rate the loss falls fastest.",
            number(rate),
            rates.len()
        ),
        None => format!(
            "No rate can be suggested: over {} steps the loss did not fall for long enough.",
            rates.len()
        ),
    };
    let chart = LineChart {
        x_label: "learning rate".into(),
        y_label: "loss, smoothed".into(),
        x_scale: ScaleKind::Log,
        series: vec![Series {
            name: "loss".into(),
            points: rates
                .iter()
                .zip(losses)
                .map(|(rate, loss)| [*rate, *loss])
                .collect(),
        }],
        note: suggestion.map(|x| (x, "suggested".into())),
        ..LineChart::default()
    };
    let curve = page::figure(
        &chart.svg(),
        "Loss while the rate rises",
        "One step at each rate; the search ends where the loss is four times its smallest.",
    );
    Page::new("Learning rate", title, &lead)
        .section("Curve", curve)
        .section("Machine", page::facts(&page::machine()))
        .html()
}
