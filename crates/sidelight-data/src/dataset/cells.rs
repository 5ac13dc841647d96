//! From the cells of a row to where its images are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ImageSource, files};
use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::image::Limits;
use crate::schema;
use crate::store::{RemoteConfig, Shard, is_address};
use crate::table::{Cell, Column, IMAGE_ENDINGS, Table, Values, extension};

/// The cells that name or hold images.
pub(super) struct ImageCells<'a> {
    pub(super) table: &'a Table,
    /// The columns of the configuration, where they are there.
    pub(super) columns: &'a [Option<&'a Column>],
    pub(super) data: &'a DataConfig,
}

/// Where the images of rows are.
pub(super) struct FoundImages {
    /// The image of each row, or all that it has.
    pub(super) images: Vec<ImageSource>,
    /// Rows of the table (from 0) without any.
    pub(super) nameless: Vec<usize>,
    /// What is to be said of them.
    pub(super) remarks: Vec<String>,
}

/// Where the images of some rows (from 0) of a configuration's table are. What is named by an address is not asked for yet.
///
/// # Errors
///
/// [`Error::NoColumn`]; [`Error::RowImage`]: an address, and no store to ask ([`RemoteConfig::store`]).
pub fn image_sources(table: &Table, data: &DataConfig, rows: &[usize]) -> Result<Vec<ImageSource>> {
    let columns = schema::image_columns(table, data)?;
    let columns: Vec<Option<&Column>> = columns.into_iter().map(Some).collect();
    let cells = ImageCells {
        table,
        columns: &columns,
        data,
    };
    Ok(cells.read(rows)?.images)
}

impl ImageCells<'_> {
    /// The images of each row.
    ///
    /// # Errors
    ///
    /// As [`image_sources`].
    pub(super) fn read(&self, rows: &[usize]) -> Result<FoundImages> {
        let n_images = self.data.n_images();
        let mut objects = Objects::default();
        let (mut all, mut n_cut) = (Vec::with_capacity(rows.len() * n_images), 0);
        for &row in rows {
            let before = all.len();
            match self.data.images_per_cell > 1 {
                true => all.extend(self.in_one_cell(row, &mut objects)?),
                false => {
                    for column in self.columns {
                        all.push(self.one(*column, row, &mut objects)?);
                    }
                }
            }
            n_cut += usize::from(all.len() - before > n_images);
            all.resize(before + n_images, ImageSource::absent());
        }
        let mut remarks = Vec::new();
        remarks.extend(files::take_similar_names(&self.table.root, &mut all));
        if n_cut > 0 {
            remarks.push(format!(
                "{n_cut} rows have more than {n_images} images: the first {n_images} are read (`data.images_per_cell`)"
            ));
        }
        let mut images = Vec::with_capacity(rows.len());
        let mut nameless = Vec::new();
        let is_any = self.columns.iter().any(Option::is_some);
        let mut all = all.into_iter();
        for &row in rows {
            let image = ImageSource::of_parts(all.by_ref().take(n_images).collect());
            nameless.extend((is_any && image.is_absent()).then_some(row));
            images.push(image);
        }
        Ok(FoundImages {
            images,
            nameless,
            remarks,
        })
    }

    /// The images that one cell names.
    fn in_one_cell(&self, row: usize, objects: &mut Objects) -> Result<Vec<ImageSource>> {
        let column = self.columns.first().copied().flatten();
        if let Some(column) = column
            && let Cell::Text(names) = column.cell(row)
        {
            let names = schema::labels(names).into_iter();
            return names
                .map(|name| self.named(column, row, &name, objects))
                .collect();
        }
        Ok(vec![self.one(column, row, objects)?])
    }

    fn one(
        &self,
        column: Option<&Column>,
        row: usize,
        objects: &mut Objects,
    ) -> Result<ImageSource> {
        let Some(column) = column else {
            return Ok(ImageSource::absent());
        };
        match column.cell(row) {
            Cell::Image(bytes) => {
                let name = match &column.values {
                    Values::Image { path, .. } if !arrow_array::Array::is_null(path, row) => {
                        path.value(row).to_owned()
                    }
                    _ => format!("image of row {}", self.table.first_row + row + 1),
                };
                Ok(ImageSource::Bytes {
                    name,
                    bytes: bytes.into(),
                })
            }
            Cell::Member(member) => Ok(ImageSource::Member(Arc::clone(member))),
            cell => match cell.to_text() {
                Some(name) => self.named(column, row, &name, objects),
                None => Ok(ImageSource::absent()),
            },
        }
    }

    fn named(
        &self,
        column: &Column,
        row: usize,
        name: &str,
        objects: &mut Objects,
    ) -> Result<ImageSource> {
        let (root, name) = (&self.table.root, name.trim());
        match name.strip_prefix("file://") {
            Some(path) => Ok(ImageSource::Path(image_path(root, path))),
            None if !is_address(name) => Ok(ImageSource::Path(image_path(root, name))),
            None => objects
                .named(name, &self.data.remote)
                .map_err(|source| Error::RowImage {
                    at: self.table.place(row, &column.name),
                    source: Box::new(source),
                }),
        }
    }
}

/// Images by their addresses; one that several rows have is one.
#[derive(Default)]
struct Objects(HashMap<String, Arc<Shard>>);

impl Objects {
    fn named(&mut self, address: &str, remote: &RemoteConfig) -> Result<ImageSource> {
        if let Some(known) = self.0.get(address) {
            return Ok(ImageSource::Object(Arc::clone(known)));
        }
        let max_bytes = Limits::default().max_bytes;
        let object = remote.store()?.object(Path::new(address), Some(max_bytes));
        self.0.insert(address.to_owned(), Arc::clone(&object));
        Ok(ImageSource::Object(object))
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
