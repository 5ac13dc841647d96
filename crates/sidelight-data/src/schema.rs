//! What each column means, inferred with the evidence, or as the person said.

mod cell;
mod disguise;
mod infer;
mod locate;
mod name;
mod part;
mod scan;
mod target;
mod usual;
mod write;

use crate::config::{Config, DataConfig};
use crate::error::Result;
use crate::table::{Column, Table, Values};

pub use cell::{boolean, datetime, number};
pub(crate) use cell::{datetime_as, number_as};
pub use disguise::Disguise;
pub use infer::{ColumnSchema, Doubt, FoundImages, Reason, Role, Schema, Wishes, images_of, sides};
pub use locate::images_elsewhere;
pub use part::Parts;
pub(crate) use part::same_value;
pub use scan::Evidence;
pub use target::{TargetWishes, target_of, target_of_kind};

/// The configuration with its metadata columns written out: as it is where it names any, otherwise as inferred
/// ([`Schema::resolve`]). Beside it what was inferred, in words.
///
/// This is done once, where a command begins ([`Dataset::open`](crate::dataset::Dataset::open)): what is trained, stored
/// and used later has the columns by name.
///
/// # Errors
///
/// As [`Schema::infer`].
pub(crate) fn resolve(table: &Table, config: &Config) -> Result<(Config, Vec<String>)> {
    if !config.metadata.is_empty() {
        return Ok((config.clone(), Vec::new()));
    }
    let wishes = Wishes::from_config(table, config)?;
    Ok(Schema::infer(table, &wishes)?.resolve(config))
}

/// The column that names or holds the images: the members of a webdataset's archives; otherwise the one of this name;
/// where that is the default, `file_name`, and is not there, the only column of embedded images (Hugging Face calls
/// it `image`).
///
/// # Errors
///
/// [`Error::NoColumn`](crate::Error::NoColumn).
pub fn image_column<'a>(table: &'a Table, name: &str) -> Result<&'a Column> {
    let is_member = |column: &&Column| matches!(column.values, Values::Members(_));
    if let Some(members) = table.columns.iter().find(is_member) {
        return Ok(members);
    }
    if let Some(column) = table.find(name) {
        return Ok(column);
    }
    let mut embedded = table
        .columns
        .iter()
        .filter(|column| column.values.are_images());
    match (embedded.next(), embedded.next()) {
        (Some(column), None) if name == "file_name" => Ok(column),
        _ => table.column(name),
    }
}

/// The columns of a configuration's images, in its order, each as [`image_column`] finds it.
///
/// # Errors
///
/// [`Error::NoColumn`](crate::Error::NoColumn) of the first that is not there.
pub fn image_columns<'a>(table: &'a Table, data: &DataConfig) -> Result<Vec<&'a Column>> {
    let names = data.image.names().iter();
    names.map(|name| image_column(table, name)).collect()
}

/// The labels in one cell: `a;b`, `a|b`, or a JSON list.
pub fn labels(cell: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(cell) {
        let text = |item: serde_json::Value| match item {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return list.into_iter().map(text).collect();
    }
    cell.split([';', '|'])
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
        .collect()
}
