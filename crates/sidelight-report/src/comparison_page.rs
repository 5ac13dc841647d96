//! A comparison's report: does the metadata help, how sure is that, and what speaks against it.

use maud::{Markup, html};
use sidelight_evidence::evidence::{
    ArmScore, Calibration, Difference, Evidence, MissingnessPoint, PartChange, Role, Verdict,
};
use sidelight_evidence::metric::better;

use crate::chart::{
    DotPlot, DotRow, Interval, IntervalPlot, LineChart, ReliabilityDiagram, Series,
};
use crate::number::{count, decimals, fixed, n_is, p_value, signed_fixed};
use crate::page::{self, Align, Page};
use crate::text::{prose, sentence_case};

/// Rows of one table of parts, at most.
const MOST_PARTS: usize = 24;

/// All that the report of a comparison says.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonPage<'a> {
    /// The configuration, as the person named it.
    pub title: &'a str,
    /// What the comparison found.
    pub evidence: &'a Evidence,
    /// Rows, folds, seeds, the unit that is independent, quick or full.
    pub design: Vec<(String, String)>,
    /// What was noticed and should be said.
    pub remarks: &'a [String],
    /// The resolved configuration, TOML.
    pub config: String,
    /// What it ran on; see [`page::machine`].
    pub machine: Vec<(String, String)>,
}

impl ComparisonPage<'_> {
    /// The page as one self-contained HTML document.
    pub fn html(&self) -> String {
        Page::new("comparison", self.title, "")
            .section("Does the metadata help?", verdict(&self.evidence.verdict))
            .section("How it was compared", page::facts(&self.design))
            .section("The arms", self.arms())
            .section("Differences", self.differences())
            .section("Where the change comes from", self.parts())
            .section("Robustness and calibration", self.robustness())
            .section("What was noticed", page::remarks(self.remarks))
            .section("Configuration", page::listing(&self.config))
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    fn metric(&self) -> &str {
        &self.evidence.metric.name
    }

    fn metric_label(&self) -> String {
        format!("{} ({})", self.metric(), better(self.metric()).words())
    }

    fn arms(&self) -> Markup {
        let arms = &self.evidence.arms;
        if arms.is_empty() {
            return Markup::default();
        }
        let row = |arm: &ArmScore| DotRow {
            name: arm.name.clone(),
            values: arm.per_fold.iter().flatten().copied().collect(),
            mean: arm.mean.unwrap_or(f64::NAN),
        };
        let plot = DotPlot {
            label: self.metric_label(),
            rows: arms.iter().map(row).collect(),
        };
        let caption =
            "One mark per fold and seed, a line at their mean. All arms see the same folds.";
        let figure = page::figure(&plot.svg(), "Folds.", caption);
        let metric = format!("{}: {}.", self.metric(), page::described(self.metric()));
        html! { (page::paragraph(&metric)) (page::beside(&self.arms_table(), &figure)) }
    }

    fn arms_table(&self) -> Markup {
        let arms = &self.evidence.arms;
        let decimals = decimals(arms.iter().filter_map(|arm| arm.mean));
        let mut columns = vec![
            ("arm", Align::Text),
            (self.metric(), Align::Number),
            ("sd over folds", Align::Number),
            ("folds", Align::Number),
            ("n", Align::Number),
        ];
        if !self.evidence.calibration.is_empty() {
            columns.push(("calibration error", Align::Number));
        }
        let value = |value: Option<f64>, decimals| {
            value.map_or_else(|| "–".to_owned(), |value| fixed(value, decimals))
        };
        let row = |arm: &ArmScore| {
            let mut calibration = self.evidence.calibration.iter();
            let ece = calibration.find(|curve| curve.arm == arm.name);
            let cells = [
                arm.name.clone(),
                value(arm.mean, decimals),
                value(arm.sd, decimals),
                count(arm.per_fold.iter().flatten().count()),
                count(arm.n),
                value(ece.map(|curve| curve.ece), 3),
            ];
            page::row(&columns, is_control(arm).then_some("control"), &cells)
        };
        let (controls, others): (Vec<&ArmScore>, Vec<&ArmScore>) =
            arms.iter().partition(|arm| is_control(arm));
        let rows = html! {
            @for arm in others { (row(arm)) }
            @if !controls.is_empty() {
                tr.part-head { th colspan=(columns.len()) scope="colgroup" { "controls" } }
            }
            @for arm in &controls { (row(arm)) }
        };
        page::table_of_rows(&columns, &rows)
    }

    fn differences(&self) -> Markup {
        let differences = &self.evidence.differences;
        if differences.is_empty() {
            return Markup::default();
        }
        // Other methods' answers to the same question stand in the table only.
        let mut rows: Vec<Interval> = Vec::new();
        for line in differences {
            let name = format!("{} − {}", line.arm, line.reference);
            if let Some((low, high)) = line.low.zip(line.high)
                && rows.iter().all(|row| row.name != name)
            {
                rows.push(Interval {
                    name,
                    delta: line.delta,
                    low,
                    high,
                    n: self.evidence.rows,
                });
            }
        }
        let plot = IntervalPlot {
            label: format!("difference in {}", self.metric()),
            better: better(self.metric()),
            rows,
        };
        let caption = "Paired on the same rows. A filled square: the interval excludes zero.";
        let figure = page::wide_figure(&plot.svg(), "Differences with 95 % intervals.", caption);
        let numbers = page::folded(
            "The same in numbers, with p-values and methods",
            &self.differences_table(),
        );
        html! { (figure) (numbers) }
    }

    fn differences_table(&self) -> Markup {
        let columns = [
            ("arm", Align::Text),
            ("compared with", Align::Text),
            ("difference", Align::Number),
            ("95 % interval", Align::Number),
            ("p", Align::Number),
            ("n", Align::Number),
            ("units", Align::Number),
            ("method", Align::Text),
        ];
        let lines = self.evidence.differences.iter();
        let all = lines.clone().flat_map(|line| {
            [Some(line.delta), line.low, line.high]
                .into_iter()
                .flatten()
        });
        let decimals = decimals(all);
        let signed = |value| signed_fixed(value, decimals);
        let row = |line: &Difference| {
            let interval = line.low.zip(line.high).map_or_else(
                || "–".to_owned(),
                |(low, high)| format!("{} to {}", signed(low), signed(high)),
            );
            let decides = match line.p_adjusted {
                Some(_) => ", p that decides (Holm)",
                None => "",
            };
            vec![
                line.arm.clone(),
                line.reference.clone(),
                signed(line.delta),
                interval,
                p_value(line.p_adjusted.unwrap_or(line.p)),
                count(self.evidence.rows),
                count(self.evidence.units),
                format!("{}{decides}", line.method),
            ]
        };
        page::table(&columns, &lines.map(row).collect::<Vec<_>>())
    }

    /// One drawing and one table for each way to divide the rows.
    fn parts(&self) -> Markup {
        let mut tables: Vec<(&str, Vec<&PartChange>)> = Vec::new();
        for part in &self.evidence.parts {
            match tables.iter_mut().find(|(by, _)| *by == part.by) {
                Some((_, rows)) => rows.push(part),
                None => tables.push((&part.by, vec![part])),
            }
        }
        page::all(tables.into_iter().map(|(by, rows)| self.part(by, rows)))
    }

    fn part(&self, by: &str, mut rows: Vec<&PartChange>) -> Markup {
        let n = rows.len();
        let mut title = by.to_owned();
        // Of many parts those that change most; all of them are in `compare.json`.
        if n > MOST_PARTS {
            rows.sort_by(|a, b| b.delta.abs().total_cmp(&a.delta.abs()));
            rows.truncate(MOST_PARTS);
            rows.sort_by(|a, b| a.delta.total_cmp(&b.delta));
            title = format!("{by}, the {MOST_PARTS} of {n} that change most");
        }
        let (metric, arm) = (&rows[0].metric, &self.evidence.verdict.arm);
        let interval = |part: &&PartChange| Interval {
            name: part.part.clone(),
            delta: part.delta,
            low: part.interval.map_or(f64::NAN, |interval| interval.low),
            high: part.interval.map_or(f64::NAN, |interval| interval.high),
            n: part.n,
        };
        let plot = IntervalPlot {
            label: format!("change in {metric}, image to {arm}"),
            better: better(metric),
            rows: rows.iter().map(interval).collect(),
        };
        let columns = [
            (&*title, Align::Text),
            ("n", Align::Number),
            ("image", Align::Number),
            (arm, Align::Number),
            ("change", Align::Number),
        ];
        let both = rows
            .iter()
            .flat_map(|part| [part.image, part.with_metadata]);
        let decimals = decimals(both);
        let row = |part: &&PartChange| {
            vec![
                part.part.clone(),
                count(part.n),
                fixed(part.image, decimals),
                fixed(part.with_metadata, decimals),
                signed_fixed(part.delta, decimals),
            ]
        };
        let table = page::table(&columns, &rows.iter().map(row).collect::<Vec<_>>());
        let caption = "Change within each subgroup, with its rows.";
        html! {
            (page::wide_figure(&plot.svg(), &format!("By {title}."), caption))
            (page::folded("The same in numbers", &table))
        }
    }

    fn robustness(&self) -> Markup {
        page::figures(
            [self.missingness(), self.reliability()]
                .into_iter()
                .flatten(),
        )
    }

    fn reliability(&self) -> Option<Markup> {
        let curves = self.evidence.calibration.iter();
        let curves: Vec<&Calibration> = curves.filter(|curve| self.is_shown(&curve.arm)).collect();
        let diagram = ReliabilityDiagram {
            series: curves
                .iter()
                .map(|curve| (curve.arm.clone(), curve.bins.clone()))
                .collect(),
        };
        let error = |curve: &&Calibration| {
            let n = curve.bins.iter().map(|bin| bin.n).sum();
            format!("{} {} ({})", curve.arm, fixed(curve.ece, 3), n_is(n))
        };
        let errors: Vec<String> = curves.iter().map(error).collect();
        let caption = format!(
            "On the dotted line probabilities mean what they say; whiskers are 95 % intervals. Expected calibration \
             error: {}.",
            errors.join(", ")
        );
        (!curves.is_empty()).then(|| page::figure(&diagram.svg(), "Reliability.", &caption))
    }

    /// The reference, the arm that the verdict is about, and the metadata alone: more curves would hide each other.
    fn is_shown(&self, arm: &str) -> bool {
        arm == self.evidence.verdict.arm || ["image", "metadata"].contains(&arm)
    }

    fn missingness(&self) -> Option<Markup> {
        let mut curves: Vec<Vec<&MissingnessPoint>> = Vec::new();
        for point in &self.evidence.missingness {
            match curves.iter_mut().find(|curve| curve[0].arm == point.arm) {
                Some(curve) => curve.push(point),
                None => curves.push(vec![point]),
            }
        }
        let series = |curve: &Vec<&MissingnessPoint>| Series {
            name: curve[0].arm.clone(),
            points: curve
                .iter()
                .map(|point| [100.0 * point.share, point.value])
                .collect(),
        };
        let chart = LineChart {
            x_label: "metadata missing, %".into(),
            y_label: self.metric_label(),
            series: curves.iter().map(series).collect(),
            ..LineChart::default()
        };
        let n = curves.iter();
        let n = n.map(|curve| format!("{} {}", curve[0].arm, n_is(curve[0].n)));
        let caption = format!(
            "Cells of the test rows made missing at random, the models unchanged; {}.",
            n.collect::<Vec<_>>().join(", ")
        );
        let title = "When metadata is missing.";
        (!curves.is_empty()).then(|| page::figure(&chart.svg(), title, &caption))
    }
}

/// Whether an arm only keeps the others honest.
fn is_control(arm: &ArmScore) -> bool {
    matches!(
        arm.role,
        Role::Chance | Role::Shuffled | Role::AllMissing | Role::GapsOnly
    )
}

fn verdict(verdict: &Verdict) -> Markup {
    let stop = |sentence: &str| if sentence.ends_with('?') { "" } else { "." };
    html! {
        div.verdict {
            p { (prose(&verdict.sentence)) }
            span.code { "verdict: " code { (verdict.code.as_str()) } }
        }
        @if !verdict.doubts.is_empty() {
            h3 { "Doubts" }
            ul.doubts {
                @for entry in &verdict.doubts {
                    li {
                        b { (entry.doubt.title()) "." }
                        " " (prose(&sentence_case(&entry.sentence))) (stop(&entry.sentence))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_evidence::evidence::{ComparedMetric, Doubt, DoubtEntry, VerdictCode};

    fn evidence() -> Evidence {
        let arm = |name: &str, role| ArmScore {
            name: name.into(),
            role,
            n: 535,
            mean: Some(0.4),
            sd: Some(0.02),
            pooled: Some(0.4),
            per_fold: vec![Some(0.38), None, Some(0.42)],
        };
        let doubt = Doubt::MetadataAloneDoesAsWell {
            metadata: 0.3,
            both: 0.4,
            better: true,
        };
        Evidence {
            schema: 1,
            metric: ComparedMetric {
                name: "mae".into(),
                higher_is_better: false,
            },
            rows: 535,
            units: 12,
            folds: 2,
            seeds: 1,
            verdict: Verdict {
                code: VerdictCode::Helps,
                sentence: "Metadata helps & <more>.".into(),
                arm: "both".into(),
                doubts: vec![DoubtEntry {
                    sentence: doubt.sentence("mae"),
                    doubt,
                    spurious: false,
                }],
            },
            arms: vec![arm("shuffled", Role::Shuffled), arm("both", Role::Fusion)],
            differences: vec![Difference {
                arm: "both".into(),
                reference: "image".into(),
                delta: -0.08,
                low: Some(-0.1),
                high: Some(-0.06),
                p: 1e-6,
                p_adjusted: None,
                method: "bootstrap".into(),
            }],
            parts: Vec::new(),
            calibration: Vec::new(),
            missingness: Vec::new(),
        }
    }

    fn html() -> String {
        ComparisonPage {
            title: "houses.toml",
            evidence: &evidence(),
            design: Vec::new(),
            remarks: &[],
            config: String::new(),
            machine: Vec::new(),
        }
        .html()
    }

    #[test]
    fn the_answer_comes_first_with_its_doubts() {
        let html = html();
        let answer = html.find("Metadata helps &amp; &lt;more&gt;.").unwrap();
        let doubt = "<b>Metadata alone does better.</b> The metadata alone does better: mae";
        assert!(answer < html.find(doubt).unwrap(), "{html}");
        assert!(answer < html.find("<table").unwrap());
        assert!(html.contains("<code>helps</code>"));
    }

    #[test]
    fn controls_stand_below_the_arms_whatever_their_order() {
        let html = html();
        let table = &html[html.find("<table").unwrap()..];
        assert!(table.find(">both<").unwrap() < table.find(">controls<").unwrap());
        assert!(table.find(">controls<").unwrap() < table.find(">shuffled<").unwrap());
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let html = html();
        assert!(!html.contains("Robustness") && !html.contains("Where the change"));
    }
}
