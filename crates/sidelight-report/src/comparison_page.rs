//! A comparison's report: does the metadata help, how sure is that, and what speaks against it.

use maud::{Markup, html};
use sidelight_evidence::evidence::{
    ArmScore, Calibration, Difference, Direction, Evidence, MissingnessPoint, PartChange, Verdict,
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
            .section("What decides, and what stands beside it", self.decision())
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
        let caption = "One mark per fold and seed, a line at their mean. All arms see the same folds. The column with that mean \
             is what a fold has; “all rows” is of all held-out rows together, as differences are.";
        let figure = page::figure(&plot.svg(), "Folds.", caption);
        let metric = format!("{}: {}.", self.metric(), page::described(self.metric()));
        html! { (page::paragraph(&metric)) (page::beside(&self.arms_table(), &figure)) }
    }

    fn arms_table(&self) -> Markup {
        let arms = &self.evidence.arms;
        let score_decimals = decimals(arms.iter().filter_map(|arm| arm.score));
        let decimals = decimals(arms.iter().filter_map(|arm| arm.mean));
        let mut columns = vec![
            ("arm", Align::Text),
            (self.metric(), Align::Number),
            ("sd over folds", Align::Number),
            ("folds", Align::Number),
            ("all rows", Align::Number),
            (&*self.evidence.decision.score, Align::Number),
            ("n", Align::Number),
        ];
        // What a reader of photographs of one thing asks for: the thing.
        let has_units = arms.iter().any(|arm| arm.by_unit.is_some());
        if has_units {
            columns.push(("by group", Align::Number));
        }
        if !self.evidence.calibration.is_empty() {
            columns.push(("calibration error", Align::Number));
        }
        let value = |value: Option<f64>, decimals| {
            value.map_or_else(|| "–".to_owned(), |value| fixed(value, decimals))
        };
        let row = |arm: &ArmScore| {
            let mut calibration = self.evidence.calibration.iter();
            let ece = calibration.find(|curve| curve.arm == arm.name);
            let mut cells = vec![
                arm.name.clone(),
                value(arm.mean, decimals),
                value(arm.sd, decimals),
                count(arm.per_fold.iter().flatten().count()),
                value(arm.pooled, decimals),
                value(arm.score, score_decimals),
                count(arm.n),
            ];
            cells.extend(has_units.then(|| value(arm.by_unit, decimals)));
            cells.push(value(ece.map(|curve| curve.ece), 3));
            page::row(&columns, arm.role.is_control().then_some("control"), &cells)
        };
        let (controls, others): (Vec<&ArmScore>, Vec<&ArmScore>) =
            arms.iter().partition(|arm| arm.role.is_control());
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
        let interval = |line: &Difference| Interval {
            name: format!("{} − {}", line.arm, line.reference),
            delta: line.delta,
            low: line.low,
            high: line.high,
            n: self.evidence.rows,
        };
        // What decides has its own table; by it the same comparisons stand in the numbers below.
        let told = differences
            .iter()
            .filter(|line| line.metric == self.metric());
        let rows = told.map(interval).collect();
        let plot = IntervalPlot {
            label: format!("difference in {}", self.metric()),
            better: better(self.metric()),
            rows,
        };
        let caption = "Paired on the same rows. A filled square: the interval excludes zero.";
        let figure = page::wide_figure(&plot.svg(), "Differences with 95 % intervals.", caption);
        let numbers = page::folded(
            "In numbers, with p-values, and by the score that decides",
            &self.differences_table(),
        );
        html! { (figure) (numbers) }
    }

    fn differences_table(&self) -> Markup {
        let columns = [
            ("arm", Align::Text),
            ("compared with", Align::Text),
            ("by", Align::Text),
            ("difference", Align::Number),
            ("95 % interval", Align::Number),
            ("p", Align::Number),
        ];
        let row = |line: &Difference| {
            let [delta, interval] = sizes(line);
            vec![
                line.arm.clone(),
                line.reference.clone(),
                line.metric.clone(),
                delta,
                interval,
                p_value(line.p),
            ]
        };
        let lines = self.evidence.differences.iter().map(row);
        page::table(&columns, &lines.collect::<Vec<_>>())
    }

    /// The arm named beforehand by the score, then by other metrics, then other arms by the score.
    fn decision(&self) -> Markup {
        let decision = &self.evidence.decision;
        let columns = [
            ("arm", Align::Text),
            ("by", Align::Text),
            ("difference", Align::Number),
            ("95 % interval", Align::Number),
            ("p", Align::Number),
            ("says", Align::Text),
        ];
        let row = |line: &Difference, says: String| {
            let [delta, interval] = sizes(line);
            let cells = [line.arm.clone(), line.metric.clone(), delta, interval];
            [cells.to_vec(), vec![p_value(line.p), says]].concat()
        };
        let decides = Difference {
            arm: decision.arm.clone(),
            reference: decision.reference.clone(),
            metric: decision.score.clone(),
            delta: decision.difference,
            low: decision.low,
            high: decision.high,
            p: decision.p,
            direction: decision.direction,
        };
        let said = format!("{}: this decides", says(decision.direction));
        let mut rows = vec![row(&decides, said)];
        for beside in &decision.sensitivity {
            let why = beside.why.as_ref();
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            let says = says(beside.line.direction);
            rows.push(row(&beside.line, format!("{says}{why}")));
        }
        let text = format!(
            "The arm was named before anything was trained, and so was the score: {}. Whatever metric is asked for, it \
             is told by that metric and decided by this score. All else stands beside it, p values unadjusted.",
            page::described(&decision.score)
        );
        html! { (page::paragraph(&text)) (page::table(&columns, &rows)) }
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

/// A difference and its interval, digits enough for the smaller end.
fn sizes(line: &Difference) -> [String; 2] {
    let decimals = decimals([line.delta, line.low, line.high]);
    let signed = |value| signed_fixed(value, decimals);
    let interval = format!("{} to {}", signed(line.low), signed(line.high));
    [signed(line.delta), interval]
}

fn says(direction: Direction) -> &'static str {
    match direction {
        Direction::Better => "better",
        Direction::Worse => "worse",
        Direction::Undecided => "may be chance",
    }
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
    use sidelight_evidence::evidence::{
        ComparedMetric, Decision, Doubt, DoubtEntry, Role, Sensitivity, VerdictCode,
    };

    fn evidence() -> Evidence {
        let arm = |name: &str, role| ArmScore {
            name: name.into(),
            role,
            n: 535,
            mean: Some(0.4),
            sd: Some(0.02),
            pooled: Some(0.41),
            score: Some(0.08),
            by_unit: None,
            per_fold: vec![Some(0.38), None, Some(0.42)],
        };
        let doubt = Doubt::MetadataAloneDoesAsWell {
            metric: "mae".into(),
            metadata: 0.3,
            both: 0.4,
            better: true,
        };
        let line = |metric: &str, delta: f64| Difference {
            arm: "both".into(),
            reference: "image".into(),
            metric: metric.into(),
            delta,
            low: delta - 0.02,
            high: delta + 0.02,
            p: 0.01,
            direction: if delta < 0.0 {
                Direction::Better
            } else {
                Direction::Undecided
            },
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
                    sentence: doubt.sentence(),
                    doubt,
                    spurious: false,
                }],
            },
            arms: vec![arm("shuffled", Role::Shuffled), arm("both", Role::Fusion)],
            decision: Decision {
                score: "huber".into(),
                arm: "both".into(),
                reference: "image".into(),
                difference: -0.02,
                low: -0.03,
                high: -0.01,
                p: 1e-6,
                direction: Direction::Better,
                sensitivity: vec![Sensitivity {
                    line: line("median_ae", 0.01),
                    why: Some("it sees only the middle".into()),
                }],
            },
            differences: vec![line("mae", -0.08)],
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
    fn what_decides_is_named_and_what_says_something_else_says_why() {
        let html = html();
        assert!(html.contains("better: this decides"), "{html}");
        assert!(html.contains("may be chance (it sees only the middle)"));
        // A mean over folds and a value of all rows are told apart.
        assert!(html.contains(">all rows<") && html.contains("of all held-out rows together"));
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let html = html();
        assert!(!html.contains("Robustness") && !html.contains("Where the change"));
    }
}
