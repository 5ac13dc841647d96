//! Which columns a row's images are in.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DataConfig, one_or_several};
use crate::error::{Result, setting};

/// As many as a network is given of a row: each of them goes through the whole backbone.
const MOST_IMAGES: usize = 64;

/// The column with each row's image, or the columns with its several images, in order. Written as a name or as a list.
///
/// # Example
///
/// ```
/// use sidelight_data::config::ImageColumns;
///
/// let rooms = ImageColumns::from(["frontal", "kitchen"]);
/// assert_eq!((rooms.first(), rooms.names().len()), ("frontal", 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageColumns(Vec<String>);

impl<'de> Deserialize<'de> for ImageColumns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "the name of a column, or a list of names: `[\"frontal\", \"kitchen\"]`";
        one_or_several(deserializer, expected).map(Self)
    }
}

impl Serialize for ImageColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.names() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl From<&str> for ImageColumns {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<String> for ImageColumns {
    fn from(name: String) -> Self {
        Self(vec![name])
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for ImageColumns {
    fn from(names: [S; N]) -> Self {
        Self(names.map(Into::into).into())
    }
}

impl From<Vec<String>> for ImageColumns {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl fmt::Display for ImageColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl ImageColumns {
    /// All names, in order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// As it is written in a configuration.
    pub fn to_toml(&self) -> String {
        let string = |name: &String| toml::Value::String(name.clone()).to_string();
        let written: Vec<String> = self.0.iter().map(string).collect();
        match written.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        }
    }

    /// The first name: what a row without any image lacks.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

impl DataConfig {
    /// How many images a row has at most.
    pub fn n_images(&self) -> usize {
        self.image.names().len().max(self.images_per_cell).max(1)
    }

    /// What each of a row's images is called: by its column, or by its place in the cell.
    pub fn image_names(&self) -> Vec<String> {
        match self.images_per_cell > 1 {
            true => {
                let place = |place| format!("{} {place}", self.image);
                (1..=self.n_images()).map(place).collect()
            }
            false => self.image.names().to_vec(),
        }
    }

    pub(super) fn validate_images(&self) -> Result<()> {
        let names = self.image.names();
        if names.is_empty() || names.iter().any(String::is_empty) {
            let expected = "the name of a column, or of one for each image of a row";
            return Err(setting("data.image", expected, format_args!("{names:?}")));
        }
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(setting("data.image", "every column once", name));
        }
        if names.len() > 1 && self.images_per_cell > 1 {
            let expected = "1, since `data.image` names a column for each image";
            return Err(setting(
                "data.images_per_cell",
                expected,
                self.images_per_cell,
            ));
        }
        if self.n_images() > MOST_IMAGES {
            let field = match names.len() > 1 {
                true => "data.image",
                false => "data.images_per_cell",
            };
            let expected = format!("at most {MOST_IMAGES} images a row");
            return Err(setting(field, expected, self.n_images()));
        }
        Ok(())
    }
}
