//! A comparison's report: does the metadata help, how sure is that, and what speaks against it.

use super::chart::{
    DotPlot, DotRow, Interval, IntervalPlot, LineChart, ReliabilityDiagram, ReliabilitySeries,
    Series,
};
use super::escape::{escape, prose};
use super::metric_name::MetricName;
use super::number::{count, decimals, fixed, n_is, p_value, signed_fixed};
use super::page::{self, Align, Page};

/// All that the report of a comparison says.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonPage {
    /// The configuration, as the person named it.
    pub title: String,
    /// The answer.
    pub verdict: Verdict,
    /// What is compared.
    pub metric: MetricName,
    /// Rows, folds, seeds, the unit that is independent, quick or full.
    pub design: Vec<(String, String)>,
    /// The arms and the controls.
    pub arms: Vec<ArmRow>,
    /// Paired differences.
    pub differences: Vec<Difference>,
    /// Whether each arm's probabilities mean what they say; empty where there are none.
    pub reliability: Vec<ReliabilityCurve>,
    /// The metric as metadata goes missing.
    pub missingness: Vec<MissingnessCurve>,
    /// Where the change comes from.
    pub subgroups: Vec<SubgroupTable>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
    /// The resolved configuration, TOML.
    pub config: String,
    /// What it ran on; see [`page::machine`].
    pub machine: Vec<(String, String)>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// `helps`, `no_evidence`, `harms`, `helps_but_spurious`.
    pub code: String,
    /// A sentence that a person can repeat.
    pub sentence: String,
    /// What speaks against it.
    pub doubts: Vec<Doubt>,
}

/// Something that speaks against the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubt {
    /// In a few words: `few independent units`.
    pub title: String,
    /// With the numbers.
    pub detail: String,
}

/// Whether an arm is one that could be used or one that keeps the others honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArmRole {
    /// One that could be used.
    #[default]
    Arm,
    /// One that keeps the others honest: shuffled, missing, flags only.
    Control,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArmRow {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: ArmRole,
    /// Rows behind the mean (out of fold).
    pub n: usize,
    /// Mean of the metric over folds and seeds.
    pub mean: f64,
    /// Standard deviation over folds and seeds.
    pub sd: f64,
    /// One a fold (and seed).
    pub per_fold: Vec<f64>,
    /// Expected calibration error, where there are probabilities.
    pub ece: Option<f64>,
}

/// A paired difference between two arms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// The arm.
    pub arm: String,
    /// What it is compared with.
    pub reference: String,
    /// Arm minus reference.
    pub delta: f64,
    /// The 95 % interval; `None`: the method gives none.
    pub interval: Option<[f64; 2]>,
    /// p-value, adjusted as `method` says.
    pub p: Option<f64>,
    /// How interval and p-value were made.
    pub method: String,
    /// Rows behind it.
    pub n: usize,
    /// Independent units behind it: groups, or rows.
    pub units: usize,
}

/// The reliability of an arm's probabilities.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReliabilityCurve {
    /// Its bins.
    pub series: ReliabilitySeries,
    /// Expected calibration error.
    pub ece: f64,
}

/// A metric as metadata goes missing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MissingnessCurve {
    /// The arm.
    pub arm: String,
    /// `[share of cells missing in percent, metric]`.
    pub points: Vec<[f64; 2]>,
    /// Rows behind each point.
    pub n: usize,
}

/// The change within each value of a column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubgroupTable {
    /// The column, or `class`.
    pub column: String,
    /// The metric of its rows.
    pub metric: String,
    /// The arm that is compared with the image alone.
    pub arm: String,
    /// Its values.
    pub rows: Vec<SubgroupChange>,
}

/// The change within one subgroup.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubgroupChange {
    /// The value.
    pub name: String,
    /// Rows.
    pub n: usize,
    /// The metric of the image-only arm.
    pub image: f64,
    /// The metric of the fused arm.
    pub fused: f64,
    /// Fused minus image.
    pub delta: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl ComparisonPage {
    /// The page.
    pub fn html(&self) -> String {
        Page::new("comparison", &self.title, "")
            .section("Does the metadata help?", self.verdict.html())
            .section("How it was compared", page::facts(&self.design))
            .section("The arms", self.arms_html())
            .section("Differences", self.differences_html())
            .section("Where the change comes from", self.subgroups_html())
            .section("Robustness and calibration", self.robustness_html())
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Configuration", page::listing(&self.config))
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    fn arms_html(&self) -> String {
        if self.arms.is_empty() {
            return String::new();
        }
        let rows = self.arms.iter().map(|arm| DotRow {
            name: arm.name.clone(),
            values: arm.per_fold.clone(),
            mean: arm.mean,
        });
        let plot = DotPlot {
            label: self.metric_label(),
            rows: rows.collect(),
        };
        let caption =
            "One mark a fold and seed, a line at their mean. All arms see the same folds.";
        let meaning = page::paragraph(&self.metric_sentence());
        meaning
            + &page::beside(
                &self.arms_table(),
                &page::figure(&plot.svg(), "Folds.", caption),
            )
    }

    fn metric_label(&self) -> String {
        format!("{} ({})", self.metric.name, self.metric.better.words())
    }

    fn metric_sentence(&self) -> String {
        match self.metric.meaning.is_empty() {
            true => format!("{}: {}.", self.metric.name, self.metric.better.words()),
            false => {
                format!(
                    "{}: {}; {}.",
                    self.metric.name,
                    self.metric.meaning,
                    self.metric.better.words()
                )
            }
        }
    }

    fn arms_table(&self) -> String {
        let with_ece = self.arms.iter().any(|arm| arm.ece.is_some());
        let decimals = decimals(self.arms.iter().map(|arm| arm.mean));
        let mut out =
            String::from("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">arm</th>");
        put!(
            &mut out,
            "<th scope=\"col\" class=\"num\">{}</th><th scope=\"col\" class=\"num\">sd over folds</th><th scope=\"col\" class=\"num\">folds</th><th scope=\"col\" class=\"num\">n</th>",
            escape(&self.metric.name)
        );
        if with_ece {
            out.push_str("<th scope=\"col\" class=\"num\">calibration error</th>");
        }
        out.push_str("</tr></thead><tbody>");
        let of_role = |role| self.arms.iter().filter(move |arm| arm.role == role);
        of_role(ArmRole::Arm).for_each(|arm| put_arm(&mut out, arm, decimals, with_ece));
        if of_role(ArmRole::Control).next().is_some() {
            put!(
                &mut out,
                "<tr class=\"part-head\"><th colspan=\"{}\" scope=\"colgroup\">controls</th></tr>",
                5 + usize::from(with_ece)
            );
        }
        of_role(ArmRole::Control).for_each(|arm| put_arm(&mut out, arm, decimals, with_ece));
        out.push_str("</tbody></table></div>");
        out
    }

    fn differences_html(&self) -> String {
        if self.differences.is_empty() {
            return String::new();
        }
        // Other methods' answers to the same question stand in the table only.
        let mut rows: Vec<Interval> = Vec::new();
        for difference in &self.differences {
            let name = format!("{} − {}", difference.arm, difference.reference);
            if let Some([low, high]) = difference.interval
                && rows.iter().all(|row| row.name != name)
            {
                rows.push(Interval {
                    name,
                    delta: difference.delta,
                    low,
                    high,
                    n: difference.n,
                });
            }
        }
        let plot = IntervalPlot {
            label: format!("difference in {}", self.metric.name),
            better: self.metric.better,
            rows,
        };
        let caption = "Paired on the same rows. A filled square: the interval does not hold zero.";
        page::wide_figure(&plot.svg(), "Differences with 95 % intervals.", caption)
            + &page::folded(
                "The same in numbers, with p-values and methods",
                &self.differences_table(),
            )
    }

    fn differences_table(&self) -> String {
        let columns = [
            ("arm", Align::Text),
            ("compared with", Align::Text),
            ("difference", Align::Number),
            ("95 % interval", Align::Number),
            ("p", Align::Number),
            ("n", Align::Number),
            ("units", Align::Number),
            ("method", Align::Text),
        ];
        let all = self
            .differences
            .iter()
            .flat_map(|row| std::iter::once(row.delta).chain(row.interval.into_iter().flatten()));
        let decimals = decimals(all);
        let signed = |value| signed_fixed(value, decimals);
        let row = |difference: &Difference| {
            vec![
                difference.arm.clone(),
                difference.reference.clone(),
                signed(difference.delta),
                difference.interval.map_or_else(
                    || "–".into(),
                    |[low, high]| format!("{} to {}", signed(low), signed(high)),
                ),
                difference.p.map_or_else(|| "–".into(), p_value),
                count(difference.n),
                count(difference.units),
                difference.method.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = self.differences.iter().map(row).collect();
        page::table(&columns, &rows)
    }

    fn robustness_html(&self) -> String {
        let mut figures = Vec::new();
        if !self.missingness.is_empty() {
            figures.push(self.missingness_figure());
        }
        if !self.reliability.is_empty() {
            figures.push(self.reliability_figure());
        }
        page::figures(&figures)
    }

    fn reliability_figure(&self) -> String {
        let series = self
            .reliability
            .iter()
            .map(|curve| curve.series.clone())
            .collect();
        let errors: Vec<String> = self
            .reliability
            .iter()
            .map(|curve| {
                let n: usize = curve.series.bins.iter().map(|bin| bin.n).sum();
                format!(
                    "{} {} ({})",
                    curve.series.name,
                    fixed(curve.ece, 3),
                    n_is(n)
                )
            })
            .collect();
        let caption = format!(
            "On the dotted line probabilities mean what they say; whiskers are 95 % intervals. Expected calibration error: {}.",
            errors.join(", ")
        );
        page::figure(
            &ReliabilityDiagram { series }.svg(),
            "Reliability.",
            &caption,
        )
    }

    fn missingness_figure(&self) -> String {
        let series = self.missingness.iter().map(|curve| Series {
            name: curve.arm.clone(),
            points: curve.points.clone(),
        });
        let chart = LineChart {
            x_label: "metadata missing, %".into(),
            y_label: self.metric_label(),
            series: series.collect(),
            ..LineChart::default()
        };
        let n: Vec<String> = self
            .missingness
            .iter()
            .map(|curve| format!("{} {}", curve.arm, n_is(curve.n)))
            .collect();
        let caption = format!(
            "Cells of the test rows made missing at random, the models unchanged; {}.",
            n.join(", ")
        );
        page::figure(&chart.svg(), "When metadata is missing.", &caption)
    }

    fn subgroups_html(&self) -> String {
        self.subgroups
            .iter()
            .map(|table| self.subgroup_html(table))
            .collect()
    }

    fn subgroup_html(&self, table: &SubgroupTable) -> String {
        let interval = |row: &SubgroupChange| Interval {
            name: row.name.clone(),
            delta: row.delta,
            low: row.low,
            high: row.high,
            n: row.n,
        };
        let metric = MetricName::new(&table.metric);
        let plot = IntervalPlot {
            label: format!("change in {}, image to {}", metric.name, table.arm),
            better: metric.better,
            rows: table.rows.iter().map(interval).collect(),
        };
        let columns = [
            (table.column.as_str(), Align::Text),
            ("n", Align::Number),
            ("image", Align::Number),
            (table.arm.as_str(), Align::Number),
            ("change", Align::Number),
        ];
        let decimals = decimals(table.rows.iter().flat_map(|row| [row.image, row.fused]));
        let number = |value| fixed(value, decimals);
        let signed = |value| signed_fixed(value, decimals);
        let row = |row: &SubgroupChange| {
            vec![
                row.name.clone(),
                count(row.n),
                number(row.image),
                number(row.fused),
                signed(row.delta),
            ]
        };
        let rows: Vec<Vec<String>> = table.rows.iter().map(row).collect();
        let title = format!("By {}.", table.column);
        page::wide_figure(
            &plot.svg(),
            &title,
            "Change within each subgroup, with its rows.",
        ) + &page::folded("The same in numbers", &page::table(&columns, &rows))
    }
}

fn put_arm(out: &mut String, arm: &ArmRow, decimals: usize, with_ece: bool) {
    let class = if arm.role == ArmRole::Control {
        " class=\"control\""
    } else {
        ""
    };
    put!(
        out,
        "<tr{class}><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
        escape(&arm.name),
        fixed(arm.mean, decimals),
        fixed(arm.sd, decimals),
        count(arm.per_fold.len()),
        count(arm.n)
    );
    if with_ece {
        put!(
            out,
            "<td class=\"num\">{}</td>",
            arm.ece.map_or_else(|| "–".to_owned(), |ece| fixed(ece, 3))
        );
    }
    out.push_str("</tr>");
}

impl Verdict {
    fn html(&self) -> String {
        let mut out = String::new();
        put!(
            &mut out,
            "<div class=\"verdict\"><p>{}</p><span class=\"code\">verdict: <code>{}</code></span></div>",
            prose(&self.sentence),
            escape(&self.code)
        );
        if !self.doubts.is_empty() {
            out.push_str("<h3>Doubts</h3><ul class=\"doubts\">");
            for doubt in &self.doubts {
                put!(
                    &mut out,
                    "<li><b>{}.</b> {}</li>",
                    prose(&doubt.title),
                    prose(&doubt.detail)
                );
            }
            out.push_str("</ul>");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> ComparisonPage {
        let arm = |name: &str, role| ArmRow {
            name: name.into(),
            role,
            n: 535,
            mean: 0.4,
            sd: 0.02,
            per_fold: vec![0.38, 0.42],
            ece: None,
        };
        ComparisonPage {
            title: "houses.toml".into(),
            verdict: Verdict {
                code: "helps".into(),
                sentence: "Metadata helps & <more>.".into(),
                doubts: vec![Doubt {
                    title: "Few units".into(),
                    detail: "Only 12 groups.".into(),
                }],
            },
            metric: MetricName::new("mae"),
            design: Vec::new(),
            arms: vec![arm("shuffled", ArmRole::Control), arm("both", ArmRole::Arm)],
            differences: vec![Difference {
                arm: "both".into(),
                reference: "image".into(),
                delta: -0.08,
                interval: Some([-0.1, -0.06]),
                p: Some(1e-6),
                method: "bootstrap".into(),
                n: 535,
                units: 12,
            }],
            reliability: Vec::new(),
            missingness: Vec::new(),
            subgroups: Vec::new(),
            remarks: Vec::new(),
            config: String::new(),
            machine: Vec::new(),
        }
    }

    #[test]
    fn the_answer_comes_first_with_its_doubts() {
        let html = page().html();
        let answer = html.find("Metadata helps &amp; &lt;more&gt;.").unwrap();
        assert!(answer < html.find("Few units.").unwrap());
        assert!(answer < html.find("<table").unwrap());
        assert!(html.contains("<code>helps</code>"));
    }

    #[test]
    fn controls_stand_below_the_arms_whatever_their_order() {
        let html = page().html();
        let table = &html[html.find("<table").unwrap()..];
        assert!(table.find(">both<").unwrap() < table.find(">controls<").unwrap());
        assert!(table.find(">controls<").unwrap() < table.find(">shuffled<").unwrap());
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let html = page().html();
        assert!(!html.contains("Robustness") && !html.contains("Where the change"));
    }
}
