//! A row as a service gets it: the bytes of an image, and cells by the name of their column.

use serde_json::{Map, Value};

use super::fact::{Fact, image_facts, is_computed};
use super::metadata::from_cells;
use super::{Dataset, ImageSource};
use crate::config::{Config, MetadataConfig};
use crate::error::Result;

/// One row of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestRow {
    /// Its number in the request, from 1, for messages.
    pub number: usize,
    /// Its image, in memory; `None`: it has none.
    pub image: Option<ImageSource>,
    /// What it says of the metadata. What is not there, `null` or an empty text is missing.
    pub cells: Map<String, Value>,
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
    /// [`Error::NoColumn`](crate::Error::NoColumn) for a name that is no column;
    /// [`Error::Cell`](crate::Error::Cell), its row the row's number.
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
    /// let dataset = Dataset::of_request(&RequestRow { number: 1, image: None, cells }, &config)?;
    /// assert_eq!(dataset.metadata.columns[0].values, MetadataValues::Continuous(vec![Some(4.0)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_request(row: &RequestRow, config: &Config) -> Result<Self> {
        let columns: Vec<(String, MetadataConfig)> = config
            .metadata
            .iter()
            .map(|(name, entry)| (name.clone(), entry.full()))
            .collect();
        let from = |name: &str, config: &MetadataConfig| config.from.clone().unwrap_or(name.into());
        let wanted: Vec<String> = columns
            .iter()
            .map(|(name, config)| from(name, config))
            .filter(|from| is_computed(from) && !row.cells.contains_key(from))
            .collect();
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let facts = match &row.image {
            Some(image) if !names.is_empty() => image_facts(image, &names),
            _ => vec![None; names.len()],
        };
        let otherwise = |_: usize, name_of: &str, config: &MetadataConfig| {
            let from = from(name_of, config);
            if let Some(at) = wanted.iter().position(|wanted| *wanted == from) {
                return facts[at].clone();
            }
            // A pattern without `from` is over the name of the image.
            let is_of_name = config.pattern.is_some() && config.from.is_none();
            let image = row.image.as_ref().filter(|_| is_of_name)?;
            Some(Fact::Text(image.name()))
        };
        let gaps = &config.data.missing;
        let metadata = from_cells(&columns, &[&row.cells], row.number, gaps, &otherwise)?;
        Ok(Self {
            path: "request".into(),
            rows: vec![row.number.saturating_sub(1)],
            images: vec![row.image.clone().unwrap_or_else(ImageSource::absent)],
            metadata,
            targets: None,
            groups: None,
            splits: None,
            remarks: Vec::new(),
        })
    }
}
