//! The explanation as a page of its own.

use maud::{Markup, html};

use super::{Curve, CurvePoint, Importance, Looked, MeanShare, Share};
use crate::loader::Preprocess;
use crate::report::chart::{Bar, BarChart, LineChart, Series};
use crate::report::number::{count, n_is, number, percent, signed};
use crate::report::overlay::{Card, Outcome, Thumbnail};
use crate::report::page::{self, Page};

/// Bars in the chart of importance.
const BARS: usize = 24;
/// Curves shown for a row; the others change less.
const CURVES: usize = 3;

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
    /// The row with its prediction.
    pub card: Card,
    /// What is explained, in words.
    pub quantity: String,
    /// What image and metadata add to the prediction.
    pub share: Share,
    /// The picture as the network reads it with what raises the number, where there is a map.
    pub heat: Option<Card>,
    /// What-if curves, the widest first.
    pub curves: Vec<Curve>,
}

impl ExplainedRow {
    /// What the network reads in grey, what raises the number over it in yellow, and points as in `outcome`, which
    /// are in pixels of the stored image.
    pub fn heat(
        looked: &Looked,
        preprocess: Preprocess,
        quantity: &str,
        outcome: &Outcome,
    ) -> Card {
        let is_anything = looked.heat.values.iter().any(|value| *value > 0.0);
        Card {
            title: match is_anything {
                true => "what raises it".into(),
                false => "nothing in the picture raises it".into(),
            },
            image: quantity.to_owned(),
            picture: Some(heated(looked, preprocess)),
            outcome: match outcome {
                Outcome::Keypoints(_) => match looked.to_input.first() {
                    Some(Some(to_input)) => outcome.clone().moved(to_input),
                    _ => Outcome::Nothing,
                },
                _ => Outcome::Nothing,
            },
            score: String::new(),
            metadata: Vec::new(),
        }
    }
}

fn heated(looked: &Looked, preprocess: Preprocess) -> Thumbnail {
    let Preprocess { size, mean, sd, .. } = preprocess;
    let heat = looked.heat.over(size);
    let mut rgb = Vec::with_capacity(size * size * 3);
    for (pixel, heat) in looked.pixels.chunks_exact(3).zip(heat) {
        let colour = |at: usize| (pixel[at] * sd[at] + mean[at]).clamp(0.0, 1.0);
        let grey = 0.8 * (0.299 * colour(0) + 0.587 * colour(1) + 0.114 * colour(2));
        let share = 0.6 * heat;
        for hot in [1.0, 0.78, 0.1] {
            rgb.push((255.0 * (grey + share * (hot - grey))).round() as u8);
        }
    }
    Thumbnail::squares(size, &rgb)
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
                @if let Some(heat) = &row.heat { (heat.html()) }
            }
            (page::figures(curves))
        }
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
        "What raises it: Grad-CAM (Selvaraju et al. 2017) at the backbone's last map, through the fusion. Yellow \
         raises the logit of the class or label, the value, or the displacement of the points. It is coarse, and \
         what lowers the number is not shown.",
        "Curves: the same image and row with one column varied over training's values. They show what the model \
         does, not what would happen.",
    ])
}
