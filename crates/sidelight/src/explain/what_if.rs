//! The same row with one column varied: what the model would say.
//!
//! Everything else stays as it is, so a curve may pass through rows that there are nowhere. It shows what the model
//! does, not what would happen.
//!
//! # Source
//!
//! Individual conditional expectation: Goldstein et al. 2015, "Peeking inside the black box", arXiv:1309.6392.

use super::{Prepared, Quantity};
use crate::dataset::{Metadata, MetadataColumn, MetadataValues};
use crate::encode::number::Transform;
use crate::encode::{EncodedColumn, Encoder, Fitted};
use crate::error::Result;
use crate::task::Prediction;

/// Points of a curve over a number.
const POINTS: usize = 25;
/// Categories that are tried, the commonest in training first.
const CATEGORIES: usize = 12;

/// What the model says of one row as one column varies.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Position in the data set.
    pub row: usize,
    /// Name of the metadata column.
    pub column: String,
    /// Whether its values are in order: numbers, times.
    pub ordered: bool,
    /// In ascending order, or the commonest category first; where the column is missing comes last.
    pub points: Vec<CurvePoint>,
    /// The row's own value, `None`: missing, and what the model says of it.
    pub own: CurvePoint,
}

/// One value tried.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvePoint {
    /// The value as it would be read; `None`: missing.
    pub value: Option<String>,
    /// The value as a number, where it is one.
    pub x: Option<f64>,
    /// The explained number.
    pub y: f64,
}

impl Curve {
    /// Largest minus smallest of the explained number.
    pub fn span(&self) -> f64 {
        let y = || self.points.iter().map(|point| point.y);
        y().fold(f64::NEG_INFINITY, f64::max) - y().fold(f64::INFINITY, f64::min)
    }
}

/// The curves of a row over every column that the model reads, the widest first.
///
/// Numbers and times are tried at quantiles of `range` (training rows, say), both ends included; of categories those
/// that training had.
///
/// # Errors
///
/// As [`Encoder::encode`].
pub fn what_if(
    rows: &Prepared<'_>,
    row: usize,
    quantity: &Quantity,
    range: &Metadata,
) -> Result<Vec<Curve>> {
    let encoder = &rows.model.encoder;
    if !rows.model.network.reads_metadata() {
        return Ok(Vec::new());
    }
    let mut curves = Vec::new();
    for column in &encoder.columns {
        let find = |metadata: &Metadata| {
            let mut columns = metadata.columns.iter();
            columns.position(|other| other.name == column.name)
        };
        let (Some(place), Some(known)) = (find(&rows.dataset.metadata), find(range)) else {
            continue;
        };
        let tried = tried(column, &range.columns[known].values);
        let n = tried.values.len();
        let own = rows.dataset.metadata.select(&[row]);
        let mut with = rows.dataset.metadata.select(&vec![row; n]);
        with.columns[place].values = tried.values;
        let point = |(metadata, at, prediction): (&Metadata, usize, &Prediction)| CurvePoint {
            value: metadata.columns[place].as_text(at),
            x: number(&metadata.columns[place].values, at),
            y: quantity.read(prediction),
        };
        let predict = |metadata: &Metadata| -> Result<Vec<CurvePoint>> {
            let (encoded, _) = encoder.encode(metadata)?;
            let predictions = rows.predict_one(row, &encoded);
            let at = predictions.iter().enumerate();
            Ok(at.map(|(at, one)| point((metadata, at, one))).collect())
        };
        let Some(own) = predict(&own)?.pop() else {
            continue;
        };
        curves.push(Curve {
            row,
            column: column.name.clone(),
            ordered: tried.ordered,
            points: predict(&with)?,
            own,
        });
    }
    curves.sort_by(|a, b| b.span().total_cmp(&a.span()));
    Ok(curves)
}

/// Values over what training had of each column, for [`what_if`] where training's own table is not at hand: numbers and
/// times from the smallest to the largest, evenly on their scale (at the knots of a quantile scale); the categories.
pub fn training_range(encoder: &Encoder) -> Metadata {
    let values = |column: &EncodedColumn| {
        let even = |[low, high]: [f64; 2]| {
            let at = |nth: usize| {
                let share = nth as f64 / (POINTS - 1) as f64;
                Some(low * (1.0 - share) + high * share)
            };
            (0..POINTS).map(at).collect()
        };
        match &column.fitted {
            Fitted::Boolean => MetadataValues::Boolean(vec![None; POINTS]),
            Fitted::Number(number) => MetadataValues::Continuous(match &number.transform {
                Transform::Quantile { knots, .. } if knots.len() > 1 => {
                    let at = |nth: usize| Some(knots[nth * (knots.len() - 1) / (POINTS - 1)][0]);
                    (0..POINTS).map(at).collect()
                }
                Transform::Log { .. } if column.usual()[0] > 0.0 => {
                    let even: Vec<Option<f64>> = even(column.usual().map(f64::ln));
                    even.into_iter().map(|x| x.map(f64::exp)).collect()
                }
                _ => even(column.usual()),
            }),
            Fitted::Datetime(_) => MetadataValues::Datetime(even(column.usual())),
            Fitted::Category(category) => MetadataValues::Categorical {
                names: category.names.clone(),
                codes: vec![None; POINTS],
            },
        }
    };
    let columns = encoder.columns.iter().map(|column| MetadataColumn {
        name: column.name.clone(),
        values: values(column),
    });
    Metadata {
        columns: columns.collect(),
        n_rows: POINTS,
    }
}

struct Tried {
    ordered: bool,
    values: MetadataValues,
}

/// The values to try, missing last.
fn tried(column: &EncodedColumn, range: &MetadataValues) -> Tried {
    let quantiles = |values: &[Option<f64>]| {
        let mut known: Vec<f64> = values.iter().flatten().copied().collect();
        known.sort_by(f64::total_cmp);
        let mut tried: Vec<Option<f64>> = Vec::new();
        if let Some(last) = known.len().checked_sub(1) {
            let at = |nth: usize| known[nth * last / (POINTS - 1)];
            tried.extend((0..POINTS).map(|nth| Some(at(nth))));
            tried.dedup();
        }
        tried.push(None);
        tried
    };
    match (range, &column.fitted) {
        (MetadataValues::Boolean(_), _) => Tried {
            ordered: false,
            values: MetadataValues::Boolean(vec![Some(false), Some(true), None]),
        },
        (MetadataValues::Continuous(values), _) => Tried {
            ordered: true,
            values: MetadataValues::Continuous(quantiles(values)),
        },
        (MetadataValues::Datetime(values), _) => Tried {
            ordered: true,
            values: MetadataValues::Datetime(quantiles(values)),
        },
        (MetadataValues::Categorical { .. }, Fitted::Category(category)) => {
            let mut order: Vec<usize> = (0..category.names.len()).collect();
            order.sort_by_key(|at| std::cmp::Reverse(category.counts[*at]));
            order.truncate(CATEGORIES);
            let codes = order.into_iter().map(|at| Some(at as u32)).chain([None]);
            Tried {
                ordered: false,
                values: MetadataValues::Categorical {
                    names: category.names.clone(),
                    codes: codes.collect(),
                },
            }
        }
        (MetadataValues::Categorical { names, .. }, _) => Tried {
            ordered: false,
            values: MetadataValues::Categorical {
                names: names.clone(),
                codes: vec![None],
            },
        },
    }
}

/// A value as a number, where it is one.
fn number(values: &MetadataValues, at: usize) -> Option<f64> {
    match values {
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => values[at],
        MetadataValues::Boolean(_) | MetadataValues::Categorical { .. } => None,
    }
}
