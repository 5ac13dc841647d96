//! Predicted keypoints as files of annotations, so that a person corrects them in the tool that they know.

use std::collections::HashMap;
use std::path::Path;

use super::Model;
use super::table::labels;
use crate::annotation::{
    AnnotatedImage, Annotations, Format, Instance, Point, point_names, relative_to, write,
};
use crate::config::Frame;
use crate::error::{DataError, Result};
use crate::image::{ImageSource, facts};
use crate::kind::TargetKind;
use crate::run::PredictionsWriter;
use crate::table::{Cell, Column, Table};
use crate::task::Task;
use crate::write::Extra;

/// Writes the keypoints of a table that [`predict_table`](super::predict_table) wrote with these columns kept as a file of
/// annotations, or a folder of them. Rows of one image are its instances, what was kept of the table is said of each; an image whose
/// row has no prediction has none. Images are named from the folder in which the annotations are.
///
/// # Errors
///
/// [`DataError::TargetKind`] for a model of something else than keypoints; those of reading the table and of
/// [`annotation::write`](crate::annotation::write()).
pub fn write_annotations(
    model: &Model,
    table: &Path,
    keep: &[String],
    format: Format,
    out: &Path,
) -> Result<()> {
    let Task::Keypoints {
        columns,
        symmetric,
        names: own_names,
        skeleton,
        ..
    } = &*model.task
    else {
        return Err(DataError::TargetKind {
            expected: TargetKind::Keypoints,
            found: Some(model.task.kind()),
        }
        .into());
    };
    let rows = Table::read(table)?;
    let mut extras = model.extras();
    extras.retain(|extra| *extra == Extra::Confidence);
    let names = PredictionsWriter::columns(&model.task, &extras, &labels(keep));
    let mut found = names.iter().map(|(name, _)| rows.column(name));
    let kept = found.by_ref().take(keep.len());
    let kept: Vec<&Column> = kept.collect::<Result<_, _>>()?;
    // After the number of the row.
    let images = found.by_ref().nth(1).transpose()?;
    let numbers: Vec<&Column> = found.collect::<Result<_, _>>()?;
    // Where points are, then how sure and how far off: two columns each.
    let (places, confidence) = numbers.split_at(columns.len().min(numbers.len()));
    let (places, confidence) = (places.as_chunks::<2>().0, confidence.as_chunks::<2>().0);
    let folder = match format.is_folder() {
        true => out,
        false => out.parent().unwrap_or(Path::new("")),
    };
    let mut annotations = Annotations {
        points: match own_names.is_empty() {
            true => point_names(columns),
            false => own_names.clone(),
        },
        skeleton: skeleton.clone(),
        symmetric: symmetric.clone(),
        ..Annotations::default()
    };
    let mut known: HashMap<String, usize> = HashMap::new();
    for row in 0..rows.n_rows {
        let file = images.and_then(|images| images.cell(row).to_text());
        let file = file.unwrap_or_default().into_owned();
        let place = *known.entry(file.clone()).or_insert_with(|| {
            annotations.images.push(image(&file, folder, model));
            annotations.images.len() - 1
        });
        let mut instance = Instance {
            points: places
                .iter()
                .enumerate()
                .map(|(at, pair)| point(pair, confidence.get(at), row))
                .collect(),
            ..Instance::default()
        };
        let said = keep.iter().zip(&kept);
        let said = said.filter_map(|(name, column)| {
            Some((name.clone(), column.cell(row).to_text()?.into_owned()))
        });
        instance.attributes = said.collect();
        if format == Format::Coco {
            // What reads COCO asks for a box.
            instance.bbox = instance.hull();
        }
        if instance.is_marked() {
            annotations.images[place].instances.push(instance);
        }
    }
    Ok(write(&annotations, format, out)?)
}

/// An image as annotations name it, with its size where its header can be read.
fn image(file: &str, folder: &Path, model: &Model) -> AnnotatedImage {
    let path = Path::new(file);
    let facts = facts(&ImageSource::Path(path.to_path_buf())).ok();
    let size = facts.map(|facts| match model.config.target.frame {
        Some(Frame::Upright) => facts.upright(),
        Some(Frame::Stored) | None => [facts.width, facts.height],
    });
    AnnotatedImage {
        file: match size {
            Some(_) => relative_to(path, folder),
            None => file.to_owned(),
        },
        found: None,
        size: size.map(|size| size.map(|side| u32::try_from(side).unwrap_or(u32::MAX))),
        instances: Vec::new(),
    }
}

/// A point that is rather hidden than visible is marked as hidden.
fn point(pair: &[&Column; 2], confidence: Option<&[&Column; 2]>, row: usize) -> Point {
    let visible = confidence.and_then(|[visible, _]| number(visible.cell(row)));
    match pair.map(|column| number(column.cell(row))) {
        [Some(x), Some(y)] if visible.is_some_and(|visible| visible < 0.5) => Point::Hidden([x, y]),
        [Some(x), Some(y)] => Point::Visible([x, y]),
        _ => Point::Missing,
    }
}

fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(number),
        cell => cell.to_text()?.parse().ok(),
    }
}
