//! Explanation of one prediction: contributions of image and metadata, where it looks, what-if curves, and of a point what
//! each column moves it by.

use serde_json::{Value, json};
use sidelight::dataset::{ImageSource, RequestRow};
use sidelight::error::{DataError, Error};
use sidelight::explain::{
    Arrow, Curve, CurvePoint, Looked, Picture, Prepared, arrows, occlusion, shares, training_range,
    what_if,
};
use sidelight::image::{Affine, facts};
use sidelight::predict::Predictor;

use super::fault::Fault;
use super::reply;

/// Explains the prediction of one row: of points all of them, or the one of this number.
pub(crate) fn row(
    model: &str,
    predictor: &Predictor,
    row: &RequestRow,
    of_point: Option<usize>,
) -> Result<Value, Fault> {
    let refused = |error: sidelight::Error| Fault::from_row_error(&error, row.number, false);
    let (of_model, dataset) = (predictor.model(), predictor.dataset(row).map_err(refused)?);
    let rows = Prepared::new(of_model, &dataset, &mut |_, _| ()).map_err(refused)?;
    if let Some((_, problem)) = rows.problems.first() {
        // The library names row and file; here there is only one.
        return Err(match &**problem {
            Error::Data(DataError::RowImage { source, .. }) => {
                Fault::from_data_error(source, row.number, false)
            }
            other => Fault::from_row_error(other, row.number, false),
        });
    }
    let own = rows.predict(Picture::Own, &rows.metadata).pop().flatten();
    let share = shares(&rows, of_point).pop();
    let (Some(own), Some(share)) = (own, share) else {
        return Err(Fault::internal("the row has no explanation"));
    };
    let curves = what_if(
        &rows,
        0,
        &share.quantity,
        &training_range(&of_model.encoder),
    )
    .map_err(refused)?;
    let size = of_model.config.train.size;
    let looked = match predictor.reads_image() {
        true => occlusion(&rows, &share).map_err(refused)?,
        false => None,
    };
    let heats = looked.map(|looked| heats(&looked, size));
    let moved = of_point.map(|point| arrows(&rows, 0, point));
    Ok(json!({
        "model": model,
        "prediction": reply::prediction(&of_model.task, &own),
        "of": share.quantity.name(&of_model.task),
        "value": share.prediction,
        "baseline": share.baseline,
        "image_adds": share.image,
        "metadata_adds": share.metadata,
        // Of the first image that the row has; those of all where a row has several.
        "heat": heats.iter().flatten().find(|heat| !heat.is_null()),
        "heats": heats.as_ref().filter(|heats| heats.len() > 1),
        "images": images_of(predictor, row),
        "arrows": moved.map(|arrows| arrows.iter().map(arrow).collect::<Vec<_>>()),
        "curves": curves.iter().map(curve).collect::<Vec<_>>(),
    }))
}

/// Facts about each of several images of the row, `null` for one that it lacks.
fn images_of(predictor: &Predictor, row: &RequestRow) -> Option<Vec<Value>> {
    let source = row.source(&predictor.model().config).ok()?;
    let one = |part: &ImageSource| facts(part).map_or(Value::Null, |facts| reply::image(&facts));
    let parts = source.parts();
    (parts.len() > 1).then(|| parts.iter().map(one).collect())
}

/// The heat maps of the row's images, `null` for one that it lacks, in the unit of the explained number, with the map from
/// cells to pixels of the stored image.
fn heats(looked: &Looked, side: usize) -> Vec<Value> {
    let heat = &looked.heat;
    let side = side as f32;
    let places = Affine::scale(side / heat.width as f32, side / heat.height as f32);
    let one = |(values, to_input): (&[f32], &Option<Affine>)| match to_input {
        Some(to_input) => json!({
            "width": heat.width,
            "height": heat.height,
            "values": values.iter().map(|x| reply::single(*x)).collect::<Vec<_>>(),
            "to_stored": reply::affine(&places.then(&to_input.inverse())),
        }),
        None => Value::Null,
    };
    heat.images().zip(&looked.to_input).map(one).collect()
}

fn arrow(arrow: &Arrow) -> Value {
    json!({
        "column": arrow.column,
        "value": arrow.value,
        "from": arrow.from.map(reply::single),
        "to": arrow.to.map(reply::single),
        "length": arrow.length(),
    })
}

fn curve(curve: &Curve) -> Value {
    json!({
        "column": curve.column,
        "ordered": curve.ordered,
        "own": point(&curve.own),
        "points": curve.points.iter().map(point).collect::<Vec<_>>(),
    })
}

fn point(point: &CurvePoint) -> Value {
    json!({"value": point.value, "x": point.x, "y": point.y})
}
