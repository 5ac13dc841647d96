//! A row as a service gets it: the bytes of an image, and cells by the name of their column.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::build::{ColumnReader, Findings, WithoutTarget};
use super::fact::is_computed;
use super::{Dataset, ImageSource};
use crate::config::{Config, MetadataEntry};
use crate::error::{Error, Place, Result};
use crate::image::Area;
use crate::table::{Column, Scalar, Table, Values};

/// One row of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestRow {
    /// Its number in the request, from 1, for messages.
    pub number: usize,
    /// Its image, in memory, or the first of several; `None`: it has none.
    pub image: Option<ImageSource>,
    /// Its images by what the configuration calls them ([`DataConfig::image_names`](crate::config::DataConfig::image_names)).
    pub images: BTreeMap<String, ImageSource>,
    /// What it says of the metadata. What is not there, `null` or an empty text is missing.
    pub cells: Map<String, Value>,
}

impl RequestRow {
    /// Its image, or all that it has, as the rows of a configuration's table have them.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`] for a name that is no column of images.
    pub fn source(&self, config: &Config) -> Result<ImageSource> {
        let names = config.data.image_names();
        let mut parts = vec![ImageSource::absent(); names.len()];
        if let (Some(first), Some(image)) = (parts.first_mut(), &self.image) {
            *first = image.clone();
        }
        for (name, image) in &self.images {
            let at = names.iter().position(|known| known == name);
            let part = at.and_then(|at| parts.get_mut(at));
            *part.ok_or_else(|| Error::NoColumn {
                path: "request".into(),
                name: name.clone(),
                columns: names.clone(),
            })? = image.clone();
        }
        Ok(ImageSource::of_parts(parts))
    }
}

impl Dataset {
    /// A data set of one row of a request, for the model that `config` made; its metadata written out.
    ///
    /// The row becomes what the same cells of a table become ([`Dataset::for_prediction`]): spellings of "missing"
    /// count, and a column that is computed from the image (`image.width`, `exif.…`) or captured from its name is so
    /// here where the row does not say it. A service is stricter in one thing: a cell that is not what its column
    /// holds is an error, not a gap.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`] for a name that is no column;
    /// [`Error::Cell`], its row the row's number.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::config::Config;
    /// use sidelight_data::dataset::{Dataset, MetadataValues, RequestRow};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("houses.toml");
    /// std::fs::write(&path, "data.table = 'a.csv'\ntarget = { kind = 'value', column = 'price' }\nmetadata.beds = 'continuous'")?;
    /// let config = Config::read(&path, &[])?;
    /// let cells = serde_json::json!({"beds": 4}).as_object().unwrap().clone();
    /// let dataset = Dataset::of_request(&RequestRow { number: 1, cells, ..RequestRow::default() }, &config)?;
    /// assert_eq!(dataset.metadata.columns[0].values, MetadataValues::Continuous(vec![Some(4.0)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_request(row: &RequestRow, config: &Config) -> Result<Self> {
        let mut config = config.clone();
        let mut cells = row.cells.clone();
        let area = area_of(&mut cells, &config, row.number)?;
        config.metadata = columns_of(&cells, &config)?;
        let given = cells.iter();
        // `null` is a gap where the image would otherwise say the value; elsewhere it is nothing said.
        let columns = given
            .filter(|(name, value)| !value.is_null() || is_computed(name))
            .map(|(name, value)| Column {
                name: name.clone(),
                values: Values::Mixed(vec![scalar(value)]),
            });
        let image = match area {
            Some(area) => row.source(&config)?.cropped(area),
            None => row.source(&config)?,
        };
        let image_name = (!image.is_absent()).then(|| image.first().name());
        let reader = ColumnReader {
            table: &Table::of_file(Path::new("request"), columns.collect(), 1, None),
            config: &config,
            image_column: Some(&Column::text("image", [image_name.as_deref()])),
            rows: &[0],
            without_target: WithoutTarget::Unread,
        };
        let images = vec![image];
        let mut findings = Findings::default();
        let metadata = reader.columns(&images, &mut findings)?;
        for ((name, entry), misread) in config.metadata.iter().zip(&findings.misread) {
            let source = entry.full().from.unwrap_or_else(|| name.clone());
            let nested = cells.get(&source).filter(|value| is_nested(value));
            let wrong = misread.first.first().map(|(_, found)| found.clone());
            if let Some(found) = nested.map(Value::to_string).or(wrong) {
                return Err(Error::Cell {
                    at: Place::file("request")
                        .with_row(row.number)
                        .with_column(name),
                    expected: misread.expected.into(),
                    found,
                });
            }
        }
        Ok(Self {
            path: "request".into(),
            rows: vec![row.number.saturating_sub(1)],
            images,
            metadata,
            targets: None,
            groups: None,
            splits: None,
            folds: None,
            times: None,
            weights: None,
            to_table: None,
            remarks: Vec::new(),
        })
    }
}

/// Takes the cells of `data.crop` out of a row, and says which part of the image they are; `None`: all of it.
fn area_of(cells: &mut Map<String, Value>, config: &Config, number: usize) -> Result<Option<Area>> {
    let Some(names) = &config.data.crop else {
        return Ok(None);
    };
    // One that is metadata too stays.
    let is_metadata = |name: &str| config.metadata.contains_key(name);
    let taken = names.each_ref().map(|name| match is_metadata(name) {
        true => cells.get(name).cloned(),
        false => cells.remove(name),
    });
    let edges = taken
        .each_ref()
        .map(|value| value.as_ref().and_then(Value::as_f64));
    let is_said = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    if !taken.iter().any(is_said) {
        return Ok(None);
    }
    let area = match edges {
        [Some(x), Some(y), Some(width), Some(height)] => Area::of_box([x, y, width, height]),
        _ => None,
    };
    let wrong = || Error::Cell {
        at: Place::file("request")
            .with_row(number)
            .with_column(&names[0]),
        expected: format!(
            "`{}`: numbers, pixels of the image as stored, the last two above 0",
            names.join("`, `")
        ),
        found: taken
            .iter()
            .flatten()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    area.map(Some).ok_or_else(wrong)
}

/// The metadata columns, each as the row has it: a value under the column's own name needs no capturing.
fn columns_of(
    cells: &Map<String, Value>,
    config: &Config,
) -> Result<BTreeMap<String, MetadataEntry>> {
    let mut columns = config.metadata_configs();
    let is_column = |key: &str| {
        let mut sources = columns.values().filter_map(|column| column.from.as_deref());
        columns.contains_key(key) || sources.any(|from| from == key)
    };
    if let Some(unknown) = cells.keys().find(|key| !is_column(key)) {
        return Err(Error::NoColumn {
            path: "request".into(),
            name: unknown.clone(),
            columns: columns.into_keys().collect(),
        });
    }
    for (name, column) in &mut columns {
        if cells.get(name).is_some_and(|value| !value.is_null()) {
            (column.from, column.pattern) = (None, None);
        }
    }
    Ok(columns
        .into_iter()
        .map(|(name, column)| (name, column.into()))
        .collect())
}

fn is_nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn scalar(value: &Value) -> Scalar {
    match value {
        Value::Bool(value) => Scalar::Boolean(*value),
        Value::Number(value) => value.as_f64().map_or(Scalar::Missing, Scalar::Number),
        Value::String(value) => Scalar::Text(value.clone()),
        _ => Scalar::Missing,
    }
}
