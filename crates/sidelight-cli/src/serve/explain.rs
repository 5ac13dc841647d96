//! Explanation of one prediction: contributions of image and metadata, a Grad-CAM heat map, what-if curves.

use serde_json::{Value, json};
use sidelight::dataset::RequestRow;
use sidelight::error::{DataError, Error};
use sidelight::explain::{
    Curve, CurvePoint, Looked, Picture, Prepared, grad_cam_of_rows, last_map, shares,
    training_range, what_if,
};
use sidelight::predict::Predictor;

use super::fault::Fault;
use super::reply;

/// Explains the prediction of one row.
pub(crate) fn row(model: &str, predictor: &Predictor, row: &RequestRow) -> Result<Value, Fault> {
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
    let share = shares(&rows).pop();
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
    let heat = match last_map(&of_model.network) {
        Some(_) if predictor.reads_image() => match grad_cam_of_rows(&rows, &[&share]) {
            Ok(mut looked) => looked.pop().map(|looked| heat(&looked)),
            // A model of metadata alone looks nowhere.
            Err(sidelight::Error::NoMap) => None,
            Err(error) => return Err(refused(error)),
        },
        _ => None,
    };
    Ok(json!({
        "model": model,
        "prediction": reply::prediction(&of_model.task, &own),
        "of": share.quantity.name(&of_model.task),
        "value": share.prediction,
        "baseline": share.baseline,
        "image_adds": share.image,
        "metadata_adds": share.metadata,
        "heat": heat,
        "curves": curves.iter().map(curve).collect::<Vec<_>>(),
    }))
}

/// The heat map scaled to a maximum of 1, with the map from its cells to pixels of the stored image.
fn heat(looked: &Looked) -> Value {
    let heat = &looked.heat;
    let largest = heat.values.iter().copied().fold(0.0, f32::max);
    let scale = if largest > 0.0 { largest.recip() } else { 0.0 };
    let side = looked.pixels.len() as f32 / 3.0;
    let side = side.sqrt();
    let places =
        sidelight::image::Affine::scale(side / heat.width as f32, side / heat.height as f32);
    json!({
        "width": heat.width,
        "height": heat.height,
        "values": heat.values.iter().map(|x| reply::single(x * scale)).collect::<Vec<_>>(),
        "to_stored": reply::affine(&places.then(&looked.to_input.inverse())),
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
