//! From the cells of a row to where its images are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImageSource;
use crate::config::DataConfig;
use crate::schema;
use crate::table::{Cell, Column, IMAGE_ENDINGS, Table, Values, extension};

/// The cells that name or hold images.
pub(super) struct ImageCells<'a> {
    pub(super) table: &'a Table,
    /// The columns of the configuration, where they are there.
    pub(super) columns: &'a [Option<&'a Column>],
    pub(super) data: &'a DataConfig,
}

impl ImageCells<'_> {
    /// The images of each row, and how many rows have more than are read, if any do; of rows without any the numbers go
    /// into `no_image`.
    pub(super) fn read(
        &self,
        rows: &[usize],
        no_image: &mut Vec<usize>,
    ) -> (Vec<ImageSource>, Option<usize>) {
        let n_images = self.data.n_images();
        let mut n_left_out = 0;
        let of_row = |&row: &usize| {
            let mut images: Vec<ImageSource> = match self.data.images_per_cell > 1 {
                true => self.in_one_cell(row),
                false => self.columns.iter().map(|column| self.one(*column, row)).collect(),
            };
            n_left_out += usize::from(images.len() > n_images);
            images.resize(n_images, ImageSource::absent());
            let image = ImageSource::of_parts(images);
            if image.is_absent() && self.columns.iter().any(Option::is_some) {
                no_image.push(row);
            }
            image
        };
        let images = rows.iter().map(of_row).collect();
        (images, (n_left_out > 0).then_some(n_left_out))
    }

    /// The images that one cell names.
    fn in_one_cell(&self, row: usize) -> Vec<ImageSource> {
        let column = self.columns.first().copied().flatten();
        match column.map(|column| column.cell(row)) {
            Some(Cell::Text(names)) => {
                let names = schema::labels(names).into_iter();
                names.map(|name| self.file(&name)).collect()
            }
            _ => vec![self.one(column, row)],
        }
    }

    fn one(&self, column: Option<&Column>, row: usize) -> ImageSource {
        let Some(column) = column else {
            return ImageSource::absent();
        };
        match column.cell(row) {
            Cell::Image(bytes) => {
                let name = match &column.values {
                    Values::Image { path, .. } if !arrow_array::Array::is_null(path, row) => {
                        path.value(row).to_owned()
                    }
                    _ => format!("image of row {}", self.table.first_row + row + 1),
                };
                ImageSource::Bytes {
                    name,
                    bytes: bytes.into(),
                }
            }
            Cell::Member(member) => ImageSource::Member(Arc::clone(member)),
            cell => match cell.to_text() {
                Some(name) => self.file(&name),
                None => ImageSource::absent(),
            },
        }
    }

    fn file(&self, name: &str) -> ImageSource {
        ImageSource::Path(image_path(&self.table.root, name.trim()))
    }
}

fn image_path(root: &Path, name: &str) -> PathBuf {
    let path = root.join(name);
    // `LES_01` for LES_01.jpg: only a name without an ending of images is looked for.
    if !name.is_empty() && !IMAGE_ENDINGS.contains(&extension(&path).as_str()) && !path.exists() {
        let with = |ending: &&str| PathBuf::from(format!("{}.{ending}", path.display()));
        let upper: Vec<String> = IMAGE_ENDINGS.map(str::to_uppercase).into();
        let endings = IMAGE_ENDINGS
            .iter()
            .copied()
            .chain(upper.iter().map(String::as_str));
        let found = endings
            .map(|ending| with(&ending))
            .find(|path| path.exists());
        if let Some(found) = found {
            return found;
        }
    }
    // A table written on Windows, read elsewhere.
    if name.contains('\\') && std::path::MAIN_SEPARATOR == '/' && !path.exists() {
        return root.join(name.replace('\\', "/"));
    }
    path
}
