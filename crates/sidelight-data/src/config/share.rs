//! A configuration that others may see.

use std::path::Path;

use super::{Config, ImageColumns, RemoteConfig};

impl Config {
    /// The same without what tells of the machine that it was written on: folders, addresses, how objects are fetched. Files
    /// keep their names, and what is predicted stays what it was.
    ///
    /// # Example
    ///
    /// ```
    /// # use sidelight_data as sidelight;
    /// use sidelight::config::{Config, TargetConfig};
    ///
    /// let mut config = Config::new("/home/jo/houses.csv", TargetConfig::regression("price"));
    /// config.model.weights = "/home/jo/mobilenet_v2.pth".into();
    /// let shared = config.without_places();
    /// assert_eq!(shared.data.table, std::path::Path::new("houses.csv"));
    /// assert_eq!(shared.model.weights, "mobilenet_v2.pth");
    /// ```
    pub fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.data.without_folders();
        config.data.remote = RemoteConfig::default();
        // What depends on where the table is, written out.
        config.data.shuffle_shards = match self.data.shuffle_shards() {
            0 => None,
            several => Some(several),
        };
        let images = self.data.image.names().iter();
        config.data.image =
            ImageColumns::from(images.map(|name| relative(name)).collect::<Vec<_>>());
        if self.model.weights_are_a_file() {
            config.model.weights = file_name(&self.model.weights);
            // What said that it is one was the path, not its end.
            if !config.model.weights_are_a_file() {
                config.model.weights.insert_str(0, "./");
            }
        }
        config.model.fetched = None;
        config
    }
}

/// A column's name as it is; of a path with columns in braces that leads to one machine's disk, its end.
fn relative(name: &str) -> String {
    match Path::new(name).has_root() && name.contains('{') {
        true => file_name(name),
        false => name.to_owned(),
    }
}

fn file_name(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, TargetConfig};

    #[test]
    fn nothing_of_a_machine_is_left_and_it_stays_valid() {
        let mut config = Config::new("/home/jo/x/houses.csv", TargetConfig::regression("price"));
        config.data.image = "/home/jo/images/{id}.tif".into();
        config.data.remote.cache = Some("/home/jo/cache".into());
        config.data.remote.options =
            [("aws_endpoint".to_owned(), "http://jo.lan".to_owned())].into();
        let join = "[[join]]\ntable = \"/home/jo/parcels.csv\"\non = \"plot\"";
        let join: toml::Table = toml::from_str(join).unwrap();
        config.data.join = join["join"].clone().try_into().unwrap();
        for (given, shared) in [
            ("/home/jo/net.pth", "net.pth"),
            ("./jo", "./jo"),
            ("/home/jo/net", "./net"),
            ("/home/jo/net.v2", "./net.v2"),
            ("timm/resnet18.tv_in1k", "timm/resnet18.tv_in1k"),
            ("none", "none"),
        ] {
            config.model.weights = given.into();
            let without = config.without_places();
            assert_eq!(without.model.weights, shared);
            assert_eq!(
                without.model.weights_are_a_file(),
                config.model.weights_are_a_file()
            );
            without.validate().unwrap();
            let text = toml::to_string(&without).unwrap();
            assert!(!text.contains("jo/") && !text.contains("lan"), "{text}");
            assert_eq!(without.data.image.first(), "{id}.tif");
        }
    }

    #[test]
    fn a_table_in_an_object_store_is_shuffled_as_it_was() {
        let table = "s3://secret-bucket/train-{000..009}.tar";
        let config = Config::new(table, TargetConfig::class("answer"));
        let without = config.without_places();
        assert_eq!(without.data.shuffle_shards(), config.data.shuffle_shards());
        assert_eq!(without.data.table.to_str(), Some("train-{000..009}.tar"));
    }
}
