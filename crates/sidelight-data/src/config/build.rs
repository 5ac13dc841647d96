//! A configuration written in Rust: every field that a TOML leaves out has the same default here.

use std::path::PathBuf;

use super::{
    Arm, AugmentConfig, Config, DataConfig, ImageColumns, ImageConfig, MetadataConfig,
    MetadataEntry, MetadataKind, ModelConfig, RemoteConfig, SplitConfig, TargetConfig, TargetKind,
    TrainConfig, Unreadable, default_image, default_missing, expand_ranges,
};

impl Config {
    /// A configuration for this table (CSV, TSV, JSON Lines, Parquet, a workbook, an imagefolder or tar archives) and this target,
    /// everything else by default.
    ///
    /// Metadata columns are inferred from the table unless [`with_metadata`](Self::with_metadata) names them. What has no
    /// `with_…` of its own is a public field: `config.train.mixup = 0.2`. Values are checked when the configuration is
    /// used, or by [`validate`](Self::validate). Paths are relative to the current folder.
    ///
    /// # Example
    ///
    /// ```
    /// # use sidelight_data as sidelight;
    /// use std::path::Path;
    /// use sidelight::config::{Config, MetadataKind, TargetConfig};
    ///
    /// let config = Config::new("houses.csv", TargetConfig::regression("price"))
    ///     .with_metadata("beds", MetadataKind::Continuous)
    ///     .with_backbone("mobilenet_v2")
    ///     .with_epochs(20);
    ///
    /// // The same as this TOML:
    /// let toml = r#"
    ///     data.table = "houses.csv"
    ///     target = { kind = "regression", column = "price" }
    ///     metadata.beds = "continuous"
    ///     model.backbone = "mobilenet_v2"
    ///     train.epochs = 20
    /// "#;
    /// assert_eq!(config, Config::parse(toml, Path::new("houses.toml"), &[])?);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn new(table: impl Into<PathBuf>, target: TargetConfig) -> Self {
        Self {
            data: DataConfig {
                table: table.into(),
                image: default_image(),
                images_per_cell: 1,
                crop: None,
                group: None,
                split: SplitConfig::default(),
                limit: 0,
                ignore: Vec::new(),
                missing: default_missing(),
                fold: None,
                time: None,
                weight: None,
                join: Vec::new(),
                decimal: None,
                date_order: None,
                separator: None,
                encoding: None,
                sheet: None,
                shuffle_shards: None,
                unreadable: Unreadable::default(),
                remote: RemoteConfig::default(),
            },
            target,
            metadata: Default::default(),
            model: ModelConfig::default(),
            train: TrainConfig::default(),
            image: ImageConfig::default(),
            augment: AugmentConfig::default(),
        }
    }

    /// The column with each row's image: a path relative to the table, or the encoded bytes. Default: `file_name`.
    /// Several images a row: an array of columns.
    pub fn with_image(mut self, columns: impl Into<ImageColumns>) -> Self {
        self.data.image = columns.into();
        self
    }

    /// Keeps rows that share a value of this column together in every split, as the images of one patient must be.
    /// Default: every row stands for itself.
    pub fn with_group(mut self, column: impl Into<String>) -> Self {
        self.data.group = Some(column.into());
        self
    }

    /// Adds a metadata column, with its kind or with all that can be said of it ([`MetadataConfig`]).
    ///
    /// # Example
    ///
    /// ```
    /// # use sidelight_data as sidelight;
    /// use sidelight::config::{Config, MetadataConfig, MetadataKind, NumberScale, TargetConfig};
    ///
    /// let area = MetadataConfig { scale: NumberScale::Log, ..MetadataConfig::new(MetadataKind::Continuous) };
    /// let config = Config::new("houses.csv", TargetConfig::regression("price"))
    ///     .with_metadata("zipcode", MetadataKind::Categorical)
    ///     .with_metadata("area", area);
    /// assert_eq!(config.metadata.len(), 2);
    /// ```
    pub fn with_metadata(
        mut self,
        column: impl Into<String>,
        kind: impl Into<MetadataEntry>,
    ) -> Self {
        self.metadata.insert(column.into(), kind.into());
        self
    }

    /// Leaves these columns out when metadata is inferred. Default: none.
    pub fn with_ignored<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.data.ignore.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Share of the rows that form the validation set, in (0, 1). Default: 0.2.
    pub fn with_validation(mut self, share: f64) -> Self {
        self.data.split.valid = share;
        self
    }

    /// Takes the split from a column that says `train`, `valid` or `test`. Default: a random split, classes in proportion.
    pub fn with_split_column(mut self, column: impl Into<String>) -> Self {
        self.data.split.column = Some(column.into());
        self
    }

    /// Divides rows by the time in this column, the latest for validation. Default: a random split.
    pub fn with_time(mut self, column: impl Into<String>) -> Self {
        self.data.time = Some(column.into());
        self
    }

    /// Lets each row count as much as this column says, in the loss and in every metric. Default: all count the same.
    pub fn with_weight(mut self, column: impl Into<String>) -> Self {
        self.data.weight = Some(column.into());
        self
    }

    /// Which inputs the model reads. Default: [`Arm::Both`].
    pub fn with_arm(mut self, arm: Arm) -> Self {
        self.model.arm = arm;
        self
    }

    /// The backbone, by name (`sidelight backbones` lists them). Default: `small_cnn`.
    pub fn with_backbone(mut self, name: impl Into<String>) -> Self {
        self.model.backbone = name.into();
        self
    }

    /// Pretrained weights: a `.pth` or `.safetensors` file, or `org/name` on the Hugging Face hub, which
    /// `sidelight::hub::fetch_weights` downloads. Default: none, training from scratch.
    pub fn with_weights(mut self, file_or_name: impl Into<String>) -> Self {
        self.model.weights = file_or_name.into();
        self
    }

    /// How metadata joins the image's features, by name. Default: `concat`.
    pub fn with_fusion(mut self, name: impl Into<String>) -> Self {
        self.model.fusion = name.into();
        self
    }

    /// Side of the network's square input, in pixels. Default: 128.
    pub fn with_size(mut self, pixels: usize) -> Self {
        self.train.size = pixels;
        self
    }

    /// Rows per batch. Default: 32.
    pub fn with_batch(mut self, rows: usize) -> Self {
        self.train.batch = rows;
        self
    }

    /// Passes over the training rows with the whole network trainable. Default: 10.
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.train.epochs = epochs;
        self
    }

    /// Passes before those with the backbone frozen. Default: as many as make 300 steps; 0 if nothing is pretrained.
    pub fn with_frozen_epochs(mut self, epochs: usize) -> Self {
        self.train.freeze_epochs = Some(epochs);
        self
    }

    /// Keeps the backbone frozen throughout: its features are computed once and training takes seconds.
    /// Default: it is fine-tuned.
    pub fn with_frozen_backbone(mut self) -> Self {
        self.train.freeze = true;
        self
    }

    /// Peak of the one-cycle learning rate. Default: 2e-3.
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        self.train.learning_rate = rate;
        self
    }

    /// Ends a phase of training after so many epochs without a better validation score. Default: never.
    pub fn with_patience(mut self, epochs: usize) -> Self {
        self.train.patience = epochs;
        self
    }

    /// The seed of the split and of everything random in training: one seed, one result. Default: 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.train.seed = seed;
        self.data.split.seed = seed;
        self
    }
}

impl TargetConfig {
    /// Keypoints, from the columns of their coordinates in pixels of the stored image: x0, y0, x1, y1, …
    /// A range stands for all its columns: `["x0..y67"]`.
    pub fn keypoints<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self::of_columns(TargetKind::Keypoints, columns)
    }

    /// One of several classes, from the column that names it.
    pub fn class(column: impl Into<String>) -> Self {
        Self::of_column(TargetKind::Class, column)
    }

    /// Any number of several labels, from one boolean column for each.
    pub fn multilabel<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self::of_columns(TargetKind::Multilabel, columns)
    }

    /// A number, from its column. For several numbers set `columns` in its place.
    pub fn regression(column: impl Into<String>) -> Self {
        Self::of_column(TargetKind::Regression, column)
    }

    fn of_column(kind: TargetKind, column: impl Into<String>) -> Self {
        Self {
            column: Some(column.into()),
            ..Self::of_columns(kind, [""; 0])
        }
    }

    fn of_columns<S: Into<String>>(kind: TargetKind, columns: impl IntoIterator<Item = S>) -> Self {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        Self {
            kind,
            column: None,
            columns: expand_ranges(&columns),
            scale: Default::default(),
            missing: Vec::new(),
            decimal: None,
            unit: None,
            frame: None,
            visibility: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            spacing: None,
            sigmas: None,
            area: None,
            symmetric: Vec::new(),
            normalizer: None,
        }
    }
}

impl From<MetadataKind> for MetadataEntry {
    fn from(kind: MetadataKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<MetadataConfig> for MetadataEntry {
    fn from(config: MetadataConfig) -> Self {
        Self::Full(config)
    }
}
