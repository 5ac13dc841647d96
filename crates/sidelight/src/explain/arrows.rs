//! What each column moves a point by.
//!
//! With p(m) the point that is predicted from the row's image and metadata m, and m∖c the same with column c missing, the
//! arrow of c is
//!
//! > p(m) − p(m∖c)
//!
//! in pixels of the stored image: from where the point would be if the column were not known to where it is. Missing is what
//! it is in the baseline of [`shares()`](super::shares()), and what a network reads for a cell that is: a number its mean in
//! training, a category none. An arrow is what a column does given all others. Of two columns that say the same each may have
//! none, and arrows do not add up to what the metadata does. Where the metadata choose among candidates
//! ([`HeadKind::Candidates`](crate::config::HeadKind::Candidates)) an arrow may lead from one object to another.
//!
//! # Source
//!
//! "Leave one covariate out" of one prediction: Lei et al. 2018, "Distribution-free predictive inference for regression",
//! arXiv:1604.04173, section 6. Departs from it: the column is missing, the model is not fitted again without it.

use super::Prepared;
use super::quantity::displacement;
use crate::task::Prediction;

/// What a column moves a point by.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrow {
    /// Name of the metadata column.
    pub column: String,
    /// The row's value as read; `None`: it is missing.
    pub value: Option<String>,
    /// Where the point would be if the column were missing, in pixels of the stored image.
    pub from: [f32; 2],
    /// Where it is.
    pub to: [f32; 2],
}

impl Arrow {
    /// To the right and down, in pixels.
    pub fn by(&self) -> [f64; 2] {
        displacement(self.from, self.to)
    }

    /// In pixels.
    pub fn length(&self) -> f64 {
        let [x, y] = self.by();
        x.hypot(y)
    }
}

/// The arrow of every column that the model reads, the longest first; none where its predictions are not points, or the
/// image could not be read.
///
/// # Panics
///
/// Where there is no such point.
pub fn arrows(rows: &Prepared<'_>, row: usize, point: usize) -> Vec<Arrow> {
    let encoder = &rows.model.encoder;
    if !rows.model.network.reads_metadata() {
        return Vec::new();
    }
    let missing = rows.all_missing();
    let spans = encoder.spans();
    // One column less in each row, all of them in the last.
    let mut with = rows.repeated(row, spans.len() + 1);
    for (at, span) in spans.iter().enumerate() {
        span.copy(&missing, row, &mut with, at);
    }
    let place = |prediction: &Prediction| match prediction {
        Prediction::Keypoints { xy, .. } => Some(xy[point]),
        _ => None,
    };
    let mut places: Vec<_> = rows
        .predict_one(row, &with)
        .iter()
        .filter_map(place)
        .collect();
    let Some(to) = places.pop() else {
        return Vec::new();
    };
    let metadata = &rows.dataset.metadata.columns;
    let value = |name: &str| {
        let column = metadata.iter().find(|column| column.name == name)?;
        column.as_text(row)
    };
    let arrow = |(column, from): (&crate::encode::EncodedColumn, [f32; 2])| Arrow {
        column: column.name.clone(),
        value: value(&column.name),
        from,
        to,
    };
    let mut arrows: Vec<Arrow> = encoder.columns.iter().zip(places).map(arrow).collect();
    arrows.sort_by(|a, b| b.length().total_cmp(&a.length()));
    arrows
}
