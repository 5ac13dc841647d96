//! `report.html` of a run: how it learned, how good it is, where it is wrong.

mod curves;
mod detail;

use super::metric_name::MetricName;
use super::number::{count, number};
use super::overlay::{self, Card, Outcome};
use super::page::{self, Align, Page};

pub use curves::Curves;
pub use detail::Detail;

/// All that the report of a run says.
///
/// # Example
///
/// ```
/// use sidelight_report::{MetricRow, RunPage};
/// let page = RunPage {
///     title: "runs/a".into(),
///     lead: "Mean error 3.2 px on 107 held-out rows.".into(),
///     metrics: vec![MetricRow { name: "mean_px".into(), value: 3.2, n: 107, baseline: Some(21.0) }],
///     ..RunPage::default()
/// };
/// assert!(page.html().contains("mean distance to the true point, pixels"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunPage {
    /// The run's folder, as the person named it.
    pub title: String,
    /// The result in one sentence, with its n.
    pub lead: String,
    /// Task, arm, backbone, rows of each part, and so on.
    pub facts: Vec<(String, String)>,
    /// Scores over the validation rows, the main one first.
    pub metrics: Vec<MetricRow>,
    /// How it learned.
    pub curves: Curves,
    /// Scores per class, point, label or column.
    pub parts: Option<PartTable>,
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

/// A score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricRow {
    /// Its name as in `metrics.json`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Rows behind it.
    pub n: usize,
    /// The same for a prediction that looks at nothing (the commonest class, the mean), where known.
    pub baseline: Option<f64>,
}

/// Scores per class, point, label or column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartTable {
    /// `class`, `point`, `label` or `column`.
    pub kind: String,
    /// Names of the scores; one called `n` is a count.
    pub columns: Vec<String>,
    /// Name of the part and its scores.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl RunPage {
    /// The page.
    pub fn html(&self) -> String {
        Page::new("run report", &self.title, &self.lead)
            .section("The run", page::facts(&self.facts))
            .section("Scores", self.metrics_html())
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Learning", self.curves.html())
            .section("Predicted and true", self.details_html())
            .section(
                &self.part_title(),
                self.parts
                    .as_ref()
                    .map_or_else(String::new, PartTable::html),
            )
            .section("Worst predictions", cards_html(&self.worst, "largest"))
            .section("Best predictions", cards_html(&self.best, "smallest"))
            .section("Configuration", page::listing(&self.config))
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    fn metrics_html(&self) -> String {
        if self.metrics.is_empty() {
            return String::new();
        }
        let with_baseline = self.metrics.iter().any(|row| row.baseline.is_some());
        let mut columns = vec![
            ("metric", Align::Text),
            ("value", Align::Number),
            ("n", Align::Number),
        ];
        if with_baseline {
            columns.push(("without looking", Align::Number));
        }
        columns.push(("meaning", Align::Text));
        let rows: Vec<Vec<String>> = self
            .metrics
            .iter()
            .map(|row| row.cells(with_baseline))
            .collect();
        page::table(&columns, &rows)
    }

    fn details_html(&self) -> String {
        let html = |detail: &Detail| detail.html();
        match &self.details[..] {
            [drawing, matrix @ Detail::Confusion(_)] => {
                page::beside(&matrix.html(), &drawing.html())
            }
            details => page::figures(&details.iter().map(html).collect::<Vec<_>>()),
        }
    }

    fn part_title(&self) -> String {
        match &self.parts {
            Some(parts) => format!("Each {}", parts.kind),
            None => String::new(),
        }
    }
}

fn cards_html(cards: &[Card], which: &str) -> String {
    if cards.is_empty() {
        return String::new();
    }
    let n = cards.len();
    let rows = if n == 1 { "row" } else { "rows" };
    let mut key = format!("The {n} {rows} of the validation part with the {which} loss. ");
    key.push_str(match &cards[0].outcome {
        Outcome::Keypoints(_) => "Circle: true point. Cross: predicted point.",
        Outcome::Regression(_) => "Circle: true. Cross: predicted. The line spans the training rows.",
        _ => "Circle: true.",
    });
    format!("<p class=\"key\">{key}</p>{}", overlay::cards(cards))
}

impl MetricRow {
    /// Scores over the same rows.
    pub fn all(scores: &[(String, f64)], n: usize) -> Vec<Self> {
        let row = |(name, value): &(String, f64)| Self {
            name: name.clone(),
            value: *value,
            n,
            baseline: None,
        };
        scores.iter().map(row).collect()
    }

    /// The score in a sentence: for a page's lead and for the terminal.
    ///
    /// ```
    /// use sidelight_report::MetricRow;
    /// let row = MetricRow { name: "mean_px".into(), value: 3.36, n: 214, baseline: Some(71.2) };
    /// assert_eq!(
    ///     row.sentence(),
    ///     "mean_px is 3.36 on 214 validation rows (mean distance to the true point, pixels; lower is better); without looking it is 71.2."
    /// );
    /// ```
    pub fn sentence(&self) -> String {
        let metric = MetricName::new(&self.name);
        let mut out = format!(
            "{} is {} on {} validation rows",
            self.name,
            number(self.value),
            count(self.n)
        );
        if !metric.meaning.is_empty() {
            put!(&mut out, " ({}; {})", metric.meaning, metric.better.words());
        }
        if let Some(baseline) = self.baseline {
            put!(&mut out, "; without looking it is {}", number(baseline));
        }
        out.push('.');
        out
    }

    fn cells(&self, with_baseline: bool) -> Vec<String> {
        let metric = MetricName::new(&self.name);
        let mut cells = vec![self.name.clone(), number(self.value), count(self.n)];
        if with_baseline {
            cells.push(self.baseline.map_or_else(|| "–".into(), number));
        }
        cells.push(match metric.meaning.is_empty() {
            true => String::new(),
            false => format!("{}; {}", metric.meaning, metric.better.words()),
        });
        cells
    }
}

impl PartTable {
    /// The table of scores per part; `n`, where it is among them, comes first.
    pub fn of(kind: &str, per_part: &[(String, Vec<(String, f64)>)]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in per_part.iter().flat_map(|(_, scores)| scores) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns.sort_by_key(|name| name != "n");
        let value = |scores: &[(String, f64)], name: &String| {
            scores
                .iter()
                .find(|(found, _)| found == name)
                .map_or(f64::NAN, |(_, value)| *value)
        };
        let row = |(part, scores): &(String, Vec<(String, f64)>)| {
            (
                part.clone(),
                columns.iter().map(|name| value(scores, name)).collect(),
            )
        };
        Self {
            kind: kind.into(),
            rows: per_part.iter().map(row).collect(),
            columns,
        }
    }

    fn html(&self) -> String {
        let mut columns = vec![(self.kind.as_str(), Align::Text)];
        columns.extend(
            self.columns
                .iter()
                .map(|name| (name.as_str(), Align::Number)),
        );
        let cell = |(name, value): (&String, &f64)| match name == "n" && value.is_finite() {
            true => count(*value as usize),
            false => number(*value),
        };
        let row = |(part, values): &(String, Vec<f64>)| {
            let cells = self.columns.iter().zip(values).map(cell);
            std::iter::once(part.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        page::table(&columns, &rows)
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

    #[test]
    fn the_count_of_a_part_comes_first() {
        let per_part = [
            (
                "<oak>".to_owned(),
                vec![("recall".to_owned(), 0.5), ("n".to_owned(), 12.0)],
            ),
            ("elm".to_owned(), vec![("recall".to_owned(), f64::NAN)]),
        ];
        let table = PartTable::of("class", &per_part);
        assert_eq!(table.columns, ["n", "recall"]);
        let html = table.html();
        assert!(
            html.contains("&lt;oak&gt;</th><td class=\"num\">12</td><td class=\"num\">0.500</td>"),
            "{html}"
        );
        assert!(html.contains("elm</th><td class=\"num\">–</td>"), "{html}");
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
