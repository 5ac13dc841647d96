//! Paths of images that are put together from columns: `train/{id}.tif`.

use super::{Column, Table, Values};
use crate::error::{Result, setting};

/// A piece of a path.
enum Part<'a> {
    Text(&'a str),
    Column(&'a Column),
}

impl Table {
    /// Whether the image is named by a path with columns in braces, and not by a column.
    pub(crate) fn is_path(&self, image: &str) -> bool {
        image.contains('{') && self.find(image).is_none()
    }

    /// The table with one more column for each of `images` that is a path with columns in braces: the path of each row,
    /// under the name that is that path. A row that lacks one of the columns has none.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`](crate::Error::NoColumn) where a column in braces is not there.
    pub fn with_paths(self, images: &[String]) -> Result<Self> {
        images.iter().try_fold(self, Self::with_path)
    }

    fn with_path(mut self, image: &String) -> Result<Self> {
        if !self.is_path(image) {
            return Ok(self);
        }
        let parts = self.parts(image)?;
        let mut paths = arrow_array::builder::LargeStringBuilder::new();
        for row in 0..self.n_rows {
            paths.append_option(path(&parts, row));
        }
        self.columns.push(Column {
            name: image.to_owned(),
            values: Values::Text(paths.finish()),
        });
        Ok(self)
    }

    fn parts<'a>(&'a self, image: &'a str) -> Result<Vec<Part<'a>>> {
        let mut parts = Vec::new();
        let mut rest = image;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                setting(
                    "data.image",
                    "a closing brace behind the column's name",
                    image,
                )
            })?;
            parts.push(Part::Text(before));
            parts.push(Part::Column(self.column(name)?));
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(parts)
    }
}

fn path(parts: &[Part<'_>], row: usize) -> Option<String> {
    let mut path = String::new();
    for part in parts {
        match part {
            Part::Text(text) => path += text,
            Part::Column(column) => path += column.cell(row).to_text()?.trim(),
        }
    }
    Some(path)
}
