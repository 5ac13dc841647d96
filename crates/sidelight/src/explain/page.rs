//! The explanation as a page of its own.

use maud::{Markup, html};

use super::{Arrow, Curve, CurvePoint, Importance, Looked, MeanShare, Prepared, Quantity, Share};
use crate::loader::Preprocess;
use crate::report::chart::{Bar, BarChart, LineChart, Series};
use crate::report::number::{count, n_is, number, percent, signed};
use crate::report::overlay::{ArrowMark, Card, Outcome, Thumbnail};
use crate::report::page::{self, Align, Page};
use crate::run::TargetCell;
use crate::task::Prediction;

/// Bars in the chart of importance.
const BARS: usize = 24;
/// Curves shown for a row; the others change less.
const CURVES: usize = 3;
/// Arrows drawn of a point; the others are shorter, and are in the table.
const ARROWS: usize = 4;
/// Arrows in the table that is not folded away.
const ARROW_ROWS: usize = 8;
/// What raises the number, what lowers it: as shares of red, green and blue.
const RAISES: [f32; 3] = [1.0, 0.78, 0.1];
const LOWERS: [f32; 3] = [0.25, 0.6, 1.0];

/// All that `sidelight explain` says.
#[derive(Debug, Clone)]
pub struct ExplainPage {
    /// The run, as the person named it.
    pub title: String,
    /// What to take away, in a sentence.
    pub lead: String,
    /// Rows, repeats, baseline.
    pub facts: Vec<(String, String)>,
    /// What each column is worth.
    pub importance: Vec<Importance>,
    /// Rows that importance was measured on.
    pub n: usize,
    /// Image and metadata over all rows.
    pub mean: Option<MeanShare>,
    /// The rows explained one by one.
    pub rows: Vec<ExplainedRow>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
}

/// A row with the shares of its inputs and where the network looks.
#[derive(Debug, Clone)]
pub struct ExplainedRow {
    card: Card,
    /// What is explained, in words.
    quantity: String,
    share: Share,
    heat: Option<HeatFigure>,
    arrows: Vec<Arrow>,
    curves: Vec<Curve>,
}

impl ExplainedRow {
    /// Of a row whose number was explained: where the network looks in its picture, if it has one; what each column moves the
    /// chosen point by, the longest arrow first, and none where none was chosen; what-if curves, the widest first.
    pub fn new(
        rows: &Prepared<'_>,
        share: Share,
        prediction: Option<&Prediction>,
        looked: Option<&Looked>,
        arrows: Vec<Arrow>,
        curves: Vec<Curve>,
    ) -> Self {
        let task = &rows.model.task;
        let target = TargetCell::of_row(rows.dataset, share.row);
        // In pixels of the stored image; the map is in pixels of the network's input.
        let outcome = explained(Outcome::new(task, target, prediction), &share.quantity);
        let heat =
            looked.map(|looked| HeatFigure::new(looked, rows.model.preprocess(), &share, &outcome));
        let outcome = with_arrows(outcome, &arrows);
        Self {
            card: Card::of_outcome(rows.dataset, share.row, outcome),
            quantity: share.quantity.name(task),
            share,
            heat,
            arrows,
            curves,
        }
    }
}

/// A picture as the network reads it, in grey, over it in yellow what raises the number and in blue what lowers it.
#[derive(Debug, Clone)]
struct HeatFigure {
    picture: Thumbnail,
    /// Points in pixels of the picture.
    outcome: Outcome,
    /// What colours mean: a class of the page's style, and words.
    legend: Vec<(&'static str, String)>,
}

impl HeatFigure {
    fn new(looked: &Looked, preprocess: Preprocess, share: &Share, outcome: &Outcome) -> Self {
        let [low, high] = looked.heat.range().map(f64::from);
        let is_of_points = matches!(share.quantity, Quantity::Displacement { .. });
        let raises = match is_of_points {
            true => format!("moves by up to {} px when this is hidden", number(high)),
            false => format!("raises it, by up to {}", number(high)),
        };
        let lowers = format!("lowers it, by up to {}", number(-low));
        let legend = [
            ("raises", raises, high > 0.0),
            ("lowers", lowers, low < 0.0),
        ];
        let legend = legend.into_iter().filter(|(.., is_any)| *is_any);
        Self {
            picture: heated(looked, preprocess),
            outcome: match (is_of_points, looked.to_input.first()) {
                (true, Some(Some(to_input))) => outcome.clone().moved(to_input),
                _ => Outcome::Nothing,
            },
            legend: legend.map(|(class, words, _)| (class, words)).collect(),
        }
    }

    fn html(&self, quantity: &str) -> Markup {
        let is_any = !self.legend.is_empty();
        let title = match is_any {
            true => "where it looks",
            false => "nothing in the picture changes it",
        };
        html! {
            figure.card {
                (self.outcome.over(&self.picture, &format!("{title}, {quantity}")))
                figcaption { b { (title) } span.file { (quantity) } }
                @if is_any {
                    ul.heat { @for (class, words) in &self.legend { li class=(class) { (words) } } }
                }
            }
        }
    }
}

fn heated(looked: &Looked, preprocess: Preprocess) -> Thumbnail {
    let Preprocess {
        size,
        mean,
        sd,
        channels,
        ..
    } = preprocess;
    let heat = looked.heat.over(size);
    let mut rgb = Vec::with_capacity(size * size * 3);
    for (pixel, heat) in looked.pixels.chunks_exact(channels).zip(heat) {
        // Of one channel three times the same, of more than three the first.
        let colour = |at: usize| {
            let value = pixel[at.min(channels - 1)];
            (value * sd[at] + mean[at]).clamp(0.0, 1.0)
        };
        let grey = 0.8 * (0.299 * colour(0) + 0.587 * colour(1) + 0.114 * colour(2));
        let hot = if heat > 0.0 { RAISES } else { LOWERS };
        let share = 0.6 * heat.abs();
        for hot in hot {
            rgb.push((255.0 * (grey + share * (hot - grey))).round() as u8);
        }
    }
    Thumbnail::squares(size, &rgb)
}

/// What is explained of an outcome: of points the chosen one, the others would hide it.
fn explained(outcome: Outcome, quantity: &Quantity) -> Outcome {
    match (outcome, quantity) {
        (
            Outcome::Keypoints(mut points),
            Quantity::Displacement {
                point: Some(point), ..
            },
        ) => {
            let mut mark = points.swap_remove(*point);
            mark.bones.clear();
            Outcome::Keypoints(vec![mark])
        }
        (other, _) => other,
    }
}

/// The outcome with the longest of its point's arrows; as it is where no point was chosen.
fn with_arrows(outcome: Outcome, arrows: &[Arrow]) -> Outcome {
    // Beside the longest the others are too short to be seen or named.
    let least = arrows.first().map_or(0.0, Arrow::length) / 5.0;
    let drawn = arrows.iter().take(ARROWS);
    let drawn = drawn.filter(|arrow| arrow.length() > least);
    let marks = drawn.map(|arrow| ArrowMark {
        name: arrow.column.clone(),
        from: arrow.from,
    });
    match outcome {
        Outcome::Keypoints(mut points) => {
            if let [mark] = &mut points[..] {
                mark.arrows = marks.collect();
            }
            Outcome::Keypoints(points)
        }
        other => other,
    }
}

impl ExplainPage {
    /// The page as one self-contained HTML document.
    pub fn html(&self) -> String {
        Page::new("explanation", &self.title, &self.lead)
            .section("What was explained", page::facts(&self.facts))
            .section("What each column is worth", self.importance_html())
            .section("Image and metadata", self.mean_html())
            .section("Rows", page::all(self.rows.iter().map(row_html)))
            .section("How to read this", reading())
            .section("What was noticed", page::remarks(&self.remarks))
            .html()
    }

    /// A chart for each metric.
    fn importance_html(&self) -> Markup {
        let n_metrics = self
            .importance
            .first()
            .map_or(0, |first| first.changes.len());
        page::figures((0..n_metrics).filter_map(|nth| self.importance_figure(nth)))
    }

    fn importance_figure(&self, nth: usize) -> Option<Markup> {
        let change = self.importance.first()?.changes.get(nth)?;
        let bar = |importance: &Importance| {
            let change = importance.changes.get(nth)?;
            Some(Bar {
                name: importance.column.clone(),
                value: change.mean,
                interval: Some([change.mean - change.sd, change.mean + change.sd]),
                note: format!("± {}", number(change.sd)),
            })
        };
        let bars = BarChart {
            label: format!(
                "how much worse {} is with the column shuffled",
                change.metric
            ),
            bars: self.importance.iter().take(BARS).filter_map(bar).collect(),
        };
        let rest = match self.importance.len().saturating_sub(BARS) {
            0 => String::new(),
            n => format!(" {n} columns that matter less are left out."),
        };
        let (intact, n) = (number(change.intact), n_is(self.n));
        let caption = format!("With all columns it is {intact}, {n}.{rest}");
        Some(page::figure(&bars.svg(), change.metric, &caption))
    }

    fn mean_html(&self) -> Markup {
        let Some(mean) = self.mean else {
            return Markup::default();
        };
        let share = mean.of_metadata().map_or_else(String::new, |share| {
            format!(
                "Metadata makes up {} of what moves predictions away from the baseline, over {} rows.",
                percent((share * 1000.0).round() / 1000.0),
                count(mean.rows)
            )
        });
        let bar = |name: &str, value: f64| Bar {
            name: name.into(),
            value,
            ..Bar::default()
        };
        let bars = BarChart {
            label: "mean size of the share".into(),
            bars: vec![bar("image", mean.image), bar("metadata", mean.metadata)],
        };
        let title = "Both parts of predictions.";
        page::figures([page::figure(&bars.svg(), title, &share)])
    }
}

fn row_html(row: &ExplainedRow) -> Markup {
    let share = &row.share;
    let facts = [
        ("baseline", number(share.baseline)),
        ("the image adds", signed(share.image)),
        ("the metadata add", signed(share.metadata)),
        ("prediction", number(share.prediction)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let curves = row.curves.iter().take(CURVES);
    let curves = curves.map(|curve| curve_html(curve, &row.quantity));
    html! {
        article.explained {
            h3 { (row.card.title) ": " (row.quantity) }
            (page::facts(&facts))
            div.cards {
                (row.card.html())
                @if let Some(heat) = &row.heat { (heat.html(&row.quantity)) }
            }
            (arrows_html(row))
            (page::figures(curves))
        }
    }
}

/// Where each column moves the point to, as a table.
fn arrows_html(row: &ExplainedRow) -> Markup {
    let Some(picture) = row.card.picture.as_ref().filter(|_| !row.arrows.is_empty()) else {
        return Markup::default();
    };
    let cells = |arrow: &Arrow| {
        let [x, y] = arrow.by();
        let value = arrow.value.clone().unwrap_or_else(|| "missing".into());
        let length = number(arrow.length());
        vec![arrow.column.clone(), value, signed(x), signed(y), length]
    };
    let columns = [
        ("column", Align::Text),
        ("value", Align::Text),
        ("to the right, px", Align::Number),
        ("down, px", Align::Number),
        ("length, px", Align::Number),
    ];
    let all: Vec<Vec<String>> = row.arrows.iter().map(cells).collect();
    let (first, rest) = all.split_at(all.len().min(ARROW_ROWS));
    let rest_of = |rest: &[Vec<String>]| match rest.is_empty() {
        true => Markup::default(),
        false => page::table(&columns, rest),
    };
    let drawn = match row.card.outcome.magnified([picture.width, picture.height]) {
        1.0 => "as long as they are".to_owned(),
        times => format!("{times} times as long"),
    };
    html! {
        p { "What each column moves the point by. Arrows are drawn " (drawn) "." }
        (page::table(&columns, first))
        (page::folded(&format!("{} more columns", rest.len()), &rest_of(rest)))
    }
}

fn curve_html(curve: &Curve, quantity: &str) -> Markup {
    let own = curve.own.value.as_deref().unwrap_or("missing");
    let missing = curve.points.iter().find(|point| point.value.is_none());
    let missing = missing.map_or_else(String::new, |point| {
        format!("; were it missing: {}", number(point.y))
    });
    let known = curve.points.iter().filter(|point| point.value.is_some());
    let drawing = if curve.ordered && known.clone().count() > 2 {
        LineChart {
            x_label: curve.column.clone(),
            y_label: quantity.to_owned(),
            series: vec![Series {
                name: curve.column.clone(),
                points: known
                    .filter_map(|point| Some([point.x?, point.y]))
                    .collect(),
            }],
            note: curve.own.x.map(|x| (x, "this row".into())),
            ..LineChart::default()
        }
        .svg()
    } else {
        let is_own = |point: &CurvePoint| point.value == curve.own.value;
        let bar = |point: &CurvePoint| Bar {
            name: point.value.clone().unwrap_or_else(|| "(missing)".into()),
            value: point.y,
            interval: None,
            note: if is_own(point) {
                "this row".into()
            } else {
                String::new()
            },
        };
        // A rare category of its own is not among those tried.
        let own = (!curve.points.iter().any(is_own)).then_some(&curve.own);
        BarChart {
            label: quantity.to_owned(),
            bars: curve.points.iter().chain(own).map(bar).collect(),
        }
        .svg()
    };
    page::figure(&drawing, &curve.column, &format!("here {own}{missing}"))
}

fn reading() -> Markup {
    page::remarks(&[
        "What a column is worth: how much the metric loses on held-out rows when the column's cells are shuffled \
         among them (Breiman 2001; Fisher, Rudin and Dominici 2019); whiskers are one standard deviation over \
         shuffles. What two columns both say is worth nothing in either.",
        "Image and metadata: Shapley values of two players (Shapley 1953; Lundberg and Lee 2017). The baseline is \
         an image of the mean colour with all metadata missing; baseline + image + metadata = prediction. Of \
         points it is how far they are from the baseline's, in pixels.",
        "Where it looks: each place of the picture is hidden (given the mean colour) by windows of an eighth and a quarter of its \
         side, and the row is predicted anew (Zeiler and Fergus 2014). The colour is the change, averaged over the windows \
         that cover a place: yellow raises the number, blue lowers it, and of points yellow is how far they move. What \
         another place says too shows little.",
        "Arrows: from where the point would be if the column were missing to where it is, everything else as it is. Of two \
         columns that say the same neither may have one.",
        "Curves: the same image and row with one column varied over training's values. They show what the model \
         does, not what would happen.",
    ])
}
