//! `report.html` of a run: how it learned, how good it is, where it is wrong.

mod curves;
mod detail;

use maud::{Markup, html};
use sidelight_evidence::metric::{Metrics, meaning};

use crate::number::{count, number};
use crate::overlay::{self, Card, Outcome};
use crate::page::{self, Align, Page};

pub use curves::Curves;
pub use detail::Detail;

/// All that the report of a run says.
///
/// # Example
///
/// ```
/// use sidelight_evidence::metric::Metrics;
/// use sidelight_report::RunPage;
/// let page = RunPage {
///     title: "runs/a".into(),
///     metrics: Metrics { n: 107, values: vec![("mean_px".into(), 3.2)], ..Metrics::default() },
///     ..RunPage::default()
/// };
/// assert!(page.html().contains("mean distance to the true point, pixels"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunPage {
    /// The run's folder, as the person named it.
    pub title: String,
    /// Task, arm, backbone, rows of each split, and so on.
    pub facts: Vec<(String, String)>,
    /// Scores of the validation rows, whole and per class, point, label or column.
    pub metrics: Metrics,
    /// The same of a prediction without any input: the commonest class, the mean.
    pub baseline: Metrics,
    /// The column of groups and the scores of these: the mean of what is said of a group's rows, scored once. `None`
    /// where groups have a row each, or no score.
    pub groups: Option<(String, Metrics)>,
    /// What the scores per part are of: `class`, `point`, `label` or `column`.
    pub part: String,
    /// How it learned.
    pub curves: Curves,
    /// Predicted against true.
    pub details: Vec<Detail>,
    /// The rows with the smallest loss.
    pub best: Vec<Card>,
    /// The rows with the largest loss.
    pub worst: Vec<Card>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
    /// The resolved configuration, TOML.
    pub config: String,
    /// What it ran on; see [`page::machine`].
    pub machine: Vec<(String, String)>,
}

impl RunPage {
    /// The page as one self-contained HTML document.
    pub fn html(&self) -> String {
        Page::new("run report", &self.title, &self.lead())
            .section("The run", page::facts(&self.facts))
            .section("Scores", self.scores())
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Learning", self.curves.html())
            .section("Predicted and true", self.details_html())
            .section(&format!("Each {}", self.part), self.parts())
            .section("Worst predictions", cards(&self.worst, "largest"))
            .section("Best predictions", cards(&self.best, "smallest"))
            .section("Configuration", page::listing(&self.config))
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    /// The headline metric in one sentence, beside that of the baseline.
    fn lead(&self) -> String {
        let Some((name, value)) = self.metrics.values.first() else {
            return String::new();
        };
        let what = match meaning(name) {
            words if words.is_empty() => name.clone(),
            words => format!("{name}, {words}"),
        };
        let baseline = self.baseline.get(name).map_or_else(String::new, |value| {
            format!(" (baseline without any input: {})", number(value))
        });
        let (value, n) = (number(*value), count(self.metrics.n));
        format!("{what}: {value}{baseline}, over {n} validation rows.")
    }

    fn scores(&self) -> Markup {
        let columns = [
            ("metric", Align::Text),
            ("value", Align::Number),
            ("n", Align::Number),
            ("baseline (no input)", Align::Number),
            ("meaning", Align::Text),
        ];
        let row = |(name, value): &(String, f64)| {
            let baseline = self.baseline.get(name);
            vec![
                name.clone(),
                number(*value),
                count(self.metrics.n),
                baseline.map_or_else(|| "–".into(), number),
                page::described(name),
            ]
        };
        let rows: Vec<Vec<String>> = self.metrics.values.iter().map(row).collect();
        html! {
            @if !rows.is_empty() { (page::table(&columns, &rows)) }
            @if let Some((column, metrics)) = &self.groups { (by_group(column, metrics)) }
        }
    }

    fn details_html(&self) -> Markup {
        match &self.details[..] {
            [drawing, matrix @ Detail::Confusion(_)] => {
                page::beside(&matrix.html(), &drawing.html())
            }
            details => page::figures(details.iter().map(Detail::html)),
        }
    }

    /// Scores of each part; `n` comes first.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of rows; saturates"
    )]
    fn parts(&self) -> Markup {
        let parts = &self.metrics.per_part;
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in parts.iter().flat_map(|(_, scores)| scores) {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
        names.sort_by_key(|name| *name != "n");
        let mut columns = vec![(&*self.part, Align::Text)];
        columns.extend(names.iter().map(|name| (*name, Align::Number)));
        let cell = |scores: &[(String, f64)], name: &str| {
            let found = scores.iter().find(|(found, _)| found == name);
            match found.map_or(f64::NAN, |(_, value)| *value) {
                n if name == "n" && n.is_finite() => count(n as usize),
                value => number(value),
            }
        };
        let row = |(part, scores): &(String, Vec<(String, f64)>)| {
            let cells = names.iter().map(|name| cell(scores, name));
            std::iter::once(part.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = parts.iter().map(row).collect();
        html! { @if !rows.is_empty() { (page::table(&columns, &rows)) } }
    }
}

/// Scores of groups, below those of their rows.
fn by_group(column: &str, metrics: &Metrics) -> Markup {
    let groups = format!("by `{column}`");
    let columns = [
        (&*groups, Align::Text),
        ("value", Align::Number),
        ("n", Align::Number),
    ];
    let row = |(name, value): &(String, f64)| vec![name.clone(), number(*value), count(metrics.n)];
    let rows: Vec<Vec<String>> = metrics.values.iter().map(row).collect();
    let text = format!(
        "Rows of one `{column}` taken together: the mean of what is said of them is scored once."
    );
    html! { (page::paragraph(&text)) (page::table(&columns, &rows)) }
}

fn cards(cards: &[Card], which: &str) -> Markup {
    let Some(first) = cards.first() else {
        return Markup::default();
    };
    let key = match first.outcome {
        Outcome::Keypoints(_) => "Circle: true point. Cross: predicted point.",
        Outcome::Regression(_) => {
            "Circle: true. Cross: predicted. The line spans the training rows."
        }
        _ => "Circle: true.",
    };
    let rows = match cards.len() {
        1 => "validation row".to_owned(),
        n => format!("{n} validation rows"),
    };
    html! {
        p.key { "The " (rows) " with the " (which) " loss. " (key) }
        (overlay::cards(cards))
    }
}

/// Places of the rows with the smallest and with the largest loss, at most `n` each and no row twice,
/// the extreme ones first. A loss that is not a number is left out.
///
/// ```
/// use sidelight_report::best_and_worst;
/// let (best, worst) = best_and_worst(&[0.5, 0.1, f32::NAN, 0.9, 0.3], 2);
/// assert_eq!((best, worst), (vec![1, 4], vec![3, 0]));
/// ```
pub fn best_and_worst(losses: &[f32], n: usize) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..losses.len())
        .filter(|&at| !losses[at].is_nan())
        .collect();
    order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    let n_worst = n.min(order.len().div_ceil(2));
    let n_best = n.min(order.len() - n_worst);
    let worst = order.iter().rev().take(n_worst).copied().collect();
    (order[..n_best].to_vec(), worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_evidence::metric::{METRICS, better};

    #[test]
    fn the_count_of_a_part_comes_first() {
        let per_part = vec![
            (
                "<oak>".to_owned(),
                vec![("recall".to_owned(), 0.5), ("n".to_owned(), 12.0)],
            ),
            ("elm".to_owned(), vec![("recall".to_owned(), f64::NAN)]),
        ];
        let html = RunPage {
            part: "class".into(),
            metrics: Metrics {
                per_part,
                ..Metrics::default()
            },
            ..RunPage::default()
        }
        .html();
        let row = "&lt;oak&gt;</th><td class=\"num\">12</td><td class=\"num\">0.500</td>";
        assert!(html.contains(row), "{html}");
        assert!(html.contains("elm</th><td class=\"num\">–</td>"), "{html}");
    }

    #[test]
    fn every_metric_has_its_meaning_and_its_direction_in_the_report() {
        for metric in METRICS {
            let name = match metric.name {
                "pck" => "pck@0.1",
                "sdr" => "sdr@2",
                name => name,
            };
            let html = RunPage {
                metrics: Metrics {
                    values: vec![(name.to_owned(), 0.5)],
                    ..Metrics::default()
                },
                ..RunPage::default()
            }
            .html();
            let words = format!("{}; {}", meaning(name), better(name).words());
            assert!(words.len() > 25, "{name}: {words}");
            assert!(
                html.contains(&format!("<td>{words}</td>")),
                "{name}: {html}"
            );
        }
    }

    #[test]
    fn no_row_is_both_best_and_worst() {
        let (best, worst) = best_and_worst(&[0.3, 0.2, 0.1], 8);
        assert_eq!((best, worst), (vec![2], vec![0, 1]));
        assert_eq!(best_and_worst(&[], 8), (vec![], vec![]));
    }

    #[test]
    fn an_empty_page_has_no_empty_sections() {
        let html = RunPage::default().html();
        assert!(!html.contains("<h2"), "{html}");
    }
}
