//! Whether every value of a [`Config`] is one that it can take, before anything is opened.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::{
    Arm, CategoryEncoding, Config, DataConfig, HeadKind, MetadataConfig, MetadataKind, ModelConfig,
    Normalizer, NumberScale, RemoteConfig, Sampling, Spacing, SplitConfig, TargetConfig,
    TargetKind, TargetScale, Unfreeze, expand_ranges,
};
use crate::error::{Result, setting};

/// 64 TiB: more is a slip of the pen, and would not fit in what counts bytes.
const MOST_MEMORY: usize = 64 << 20;
/// What no training comes to the end of, and a plan of each epoch would not either.
const MOST_EPOCHS: usize = 1_000_000;
/// As many threads as a machine can run.
const MOST_WORKERS: usize = 4096;

/// An error unless the value is in the range; NaN is in none.
fn within(field: &str, value: f64, fits: impl Fn(f64) -> bool, expected: &str) -> Result<()> {
    if value.is_finite() && fits(value) {
        Ok(())
    } else {
        Err(setting(field, expected, value))
    }
}

fn below_one(field: &str, value: f64) -> Result<()> {
    let fits = |x| (0.0..1.0).contains(&x);
    within(field, value, fits, "a share from 0 to below 1")
}

impl Config {
    /// Checks every value against its range and its neighbours. [`Config::read`] has done so.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) or [`Error::HubName`](crate::Error::HubName), the first in the order of the file.
    pub fn validate(&self) -> Result<()> {
        within(
            "data.split.valid",
            self.data.split.valid,
            |x| x > 0.0 && x < 1.0,
            "a share above 0 and below 1",
        )?;
        self.data.remote.validate()?;
        self.data.validate_time()?;
        self.validate_folds()?;
        self.data.validate_images()?;
        self.target.validate()?;
        let targets: BTreeSet<String> = self.target.names().into_iter().collect();
        let images = self.data.image.names().iter();
        let roles = images
            .map(|column| ("data.image", column))
            .chain(self.data.group.iter().map(|column| ("data.group", column)))
            .chain(self.data.time.iter().map(|column| ("data.time", column)))
            .chain(
                self.data
                    .weight
                    .iter()
                    .map(|column| ("data.weight", column)),
            );
        for (role, column) in roles {
            if targets.contains(column) {
                return Err(setting(role, "a column that is not the target", column));
            }
        }
        if self.data.n_images() > 1 && self.target.kind == TargetKind::Keypoints {
            let expected = "one column, since points are in the pixels of one image";
            return Err(setting("data.image", expected, &self.data.image));
        }
        self.data.validate_weight()?;
        for (name, entry) in &self.metadata {
            let config = entry.full();
            config.validate(name)?;
            let source = config.from.as_deref().unwrap_or(name);
            if targets.contains(source) {
                return Err(setting(
                    format!("metadata.{}", key(name)),
                    "a column that is not the target",
                    source,
                ));
            }
            if self.data.weight.as_deref() == Some(source) {
                return Err(setting(
                    format!("metadata.{}", key(name)),
                    "a column that is not `data.weight`, which is unknown of a new row",
                    source,
                ));
            }
        }
        if let Some([low, high]) = self.image.range.known()
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            let expected = "two numbers, the smaller one first ([0, 4095])";
            return Err(setting(
                "image.range",
                expected,
                format_args!("[{low}, {high}]"),
            ));
        }
        self.model.weights_on_hub()?;
        below_one("model.dropout", self.model.dropout)?;
        self.model.validate_head(self.target.kind)?;
        below_one("model.drop_image", self.model.drop_image)?;
        within(
            "model.auxiliary",
            self.model.auxiliary,
            |x| (0.0..=10.0).contains(&x),
            "a weight from 0 to 10",
        )?;
        let train = &self.train;
        if train.epochs == 0 && train.freeze_epochs.unwrap_or(0) == 0 {
            return Err(setting(
                "train.epochs",
                "at least 1 (or `train.freeze_epochs` above 0)",
                train.epochs,
            ));
        }
        for (name, epochs) in [
            ("train.epochs", train.epochs),
            ("train.freeze_epochs", train.freeze_epochs.unwrap_or(0)),
        ] {
            if epochs > MOST_EPOCHS {
                return Err(setting(name, format!("at most {MOST_EPOCHS}"), epochs));
            }
        }
        if train.workers > MOST_WORKERS {
            let expected = format!("at most {MOST_WORKERS} threads");
            return Err(setting("train.workers", expected, train.workers));
        }
        if !(8..=4096).contains(&train.size) {
            return Err(setting("train.size", "8 to 4096 pixels", train.size));
        }
        if !(1..=65_536).contains(&train.batch) {
            return Err(setting("train.batch", "1 to 65536 rows", train.batch));
        }
        if !(1..=65_536).contains(&train.accumulate) {
            return Err(setting(
                "train.accumulate",
                "1 to 65536 batches",
                train.accumulate,
            ));
        }
        within(
            "train.learning_rate",
            train.learning_rate,
            |x| x > 0.0,
            "a number above 0",
        )?;
        within(
            "train.weight_decay",
            train.weight_decay,
            |x| x >= 0.0,
            "a number not below 0",
        )?;
        within(
            "train.backbone_rate",
            train.backbone_rate,
            |x| x > 0.0 && x <= 1.0,
            "a share above 0, at most 1",
        )?;
        within(
            "train.clip",
            train.clip,
            |x| x >= 0.0,
            "a number not below 0 (0: no clipping)",
        )?;
        within(
            "train.ema",
            train.ema,
            |x| (0.0..1.0).contains(&x),
            "a decay from 0 (no average) to below 1",
        )?;
        if train.ema_warmup && train.ema == 0.0 {
            return Err(setting(
                "train.ema_warmup",
                "false, since there is no average (`train.ema` is 0)",
                true,
            ));
        }
        self.validate_training()?;
        if !["f32", "bf16"].contains(&train.precision.as_str()) {
            return Err(setting(
                "train.precision",
                "`f32` or `bf16`",
                &train.precision,
            ));
        }
        let augment = &self.augment;
        within(
            "augment.rotate",
            augment.rotate,
            |x| (0.0..=180.0).contains(&x),
            "0 to 180 degrees",
        )?;
        below_one("augment.zoom", augment.zoom)?;
        below_one("augment.shift", augment.shift)?;
        below_one("augment.light", augment.light)?;
        within(
            "augment.probability",
            augment.probability,
            |x| (0.0..=1.0).contains(&x),
            "a share from 0 to 1",
        )
    }
}

impl Config {
    /// Options of training that fit only some targets, or exclude each other.
    fn validate_training(&self) -> Result<()> {
        let (train, kind) = (&self.train, self.target.kind);
        if train.freeze && train.unfreeze == Unfreeze::Gradual {
            return Err(setting(
                "train.unfreeze",
                "`all`, since nothing thaws (`train.freeze` is true)",
                "gradual",
            ));
        }
        if train.memory > MOST_MEMORY {
            return Err(setting(
                "train.memory",
                format!("0 to {MOST_MEMORY} MiB"),
                train.memory,
            ));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = train.log.iter().find(|tracker| !seen.insert(**tracker)) {
            return Err(setting("train.log", "each once", twice));
        }
        within(
            "train.mixup",
            train.mixup,
            |x| (0.0..=100.0).contains(&x),
            "a number from 0 (no blending) to 100",
        )?;
        within(
            "train.heatmap_loss",
            train.heatmap_loss,
            |x| (0.0..=100.0).contains(&x),
            "a number from 0 (only places count) to 100",
        )?;
        let has_classes = matches!(kind, TargetKind::Class | TargetKind::Multilabel);
        if train.mixup > 0.0 && !has_classes {
            return Err(setting(
                "train.mixup",
                "0, since the target is neither `class` nor `multilabel`",
                train.mixup,
            ));
        }
        if train.sampling == Sampling::Balanced {
            if kind != TargetKind::Class {
                let expected = "`even`, since the target is not a `class`";
                return Err(setting("train.sampling", expected, "balanced"));
            }
            if self.data.shuffle_shards() > 0 {
                let expected = "`even`, since rows are shuffled a few shards at a time (`data.shuffle_shards` is not 0)";
                return Err(setting("train.sampling", expected, "balanced"));
            }
            if train.class_weights {
                let expected =
                    "`even`, since `train.class_weights` makes the classes equal already";
                return Err(setting("train.sampling", expected, "balanced"));
            }
        }
        Ok(())
    }
}

/// Candidates of an object, at most.
const MOST_CANDIDATES: usize = 32;

impl ModelConfig {
    /// Looks whether the head fits the target and the arm.
    fn validate_head(&self, target: TargetKind) -> Result<()> {
        if !(2..=MOST_CANDIDATES).contains(&self.candidates) {
            let expected = format!("2 to {MOST_CANDIDATES}");
            return Err(setting("model.candidates", &expected, self.candidates));
        }
        if matches!(self.head, HeadKind::Auto | HeadKind::Direct) {
            return Ok(());
        }
        let head: &str = self.head.into();
        let wrong = |expected| Err(setting("model.head", expected, head));
        if target != TargetKind::Keypoints {
            return wrong("`direct`, since the target is not points");
        }
        if self.arm == Arm::Metadata {
            return wrong("`direct`, since `model.arm = \"metadata\"` reads no image");
        }
        if self.head == HeadKind::Candidates && self.arm == Arm::Vote {
            return wrong("`direct` or `heatmap`, since two votes have a mean and no candidates");
        }
        if self.head == HeadKind::Candidates && self.fusion != Self::default().fusion {
            let expected = "`stacked` (or left out), since with `head = \"candidates\"` the metadata chooses one";
            return Err(setting("model.fusion", expected, &self.fusion));
        }
        Ok(())
    }
}

/// Folds that models are trained for, at most: all of them are held at once when they are joined.
const MOST_FOLDS: usize = 100;

impl Config {
    /// Models of folds have a mean, and every row is in a fold.
    fn validate_folds(&self) -> Result<()> {
        let SplitConfig {
            folds,
            fold,
            valid_where,
            ..
        } = &self.data.split;
        let wrong = |field: &str, expected: &str, found: &dyn fmt::Display| {
            Err(setting(field, expected, found))
        };
        if *folds == 1 || *folds > MOST_FOLDS {
            let expected = format!("2 to {MOST_FOLDS}, or 0 for one model");
            return wrong("data.split.folds", &expected, folds);
        }
        if fold > folds {
            let expected = match folds {
                0 => "0, since `data.split.folds` is 0".into(),
                _ => format!("1 to {folds}, or 0 for all of them"),
            };
            return wrong("data.split.fold", &expected, fold);
        }
        if *folds == 0 {
            return Ok(());
        }
        if self.data.time.is_some() {
            let expected = "0, since rows are divided by time (`data.time`): a fold would be predicted from what came after it";
            return wrong("data.split.folds", expected, folds);
        }
        if !valid_where.is_empty() {
            let expected =
                "none, since each row is a validation row of one fold (`data.split.folds`)";
            return wrong("data.split.valid_where", expected, &valid_where.join(", "));
        }
        if self.data.split.joins_folds() && self.model.head == HeadKind::Candidates {
            let expected = "`direct` or `heatmap`, since models of folds (`data.split.folds`) are joined by their mean, and candidates have none";
            return wrong("model.head", expected, &"candidates");
        }
        if self.data.split.joins_folds() && self.data.image.names().len() > 1 {
            let expected =
                "0, since rows have several images: models of such rows are not joined yet";
            return wrong("data.split.folds", expected, folds);
        }
        Ok(())
    }
}

impl DataConfig {
    /// Rows are divided in one way.
    fn validate_time(&self) -> Result<()> {
        let Some(time) = &self.time else {
            return Ok(());
        };
        let split = &self.split;
        let others = [
            ("data.fold", self.fold.is_some()),
            ("data.split.column", split.column.is_some()),
            ("data.split.valid_where", !split.valid_where.is_empty()),
            ("data.split.test_where", !split.test_where.is_empty()),
        ];
        match others.iter().find(|(_, is_set)| *is_set) {
            Some((other, _)) => {
                let expected =
                    format!("no `{other}` beside it: rows are divided by the one or by the other");
                Err(setting("data.time", expected, time))
            }
            None => Ok(()),
        }
    }
}

impl DataConfig {
    /// How much a row counts is said by a column of its own.
    fn validate_weight(&self) -> Result<()> {
        let Some(weight) = &self.weight else {
            return Ok(());
        };
        let others = [
            ("data.group", &self.group),
            ("data.time", &self.time),
            ("data.fold", &self.fold),
            ("data.split.column", &self.split.column),
        ];
        let others = others
            .into_iter()
            .filter_map(|(role, column)| Some((role, column.as_ref()?)));
        let images = self.image.names().iter().map(|name| ("data.image", name));
        match images.chain(others).find(|(_, column)| *column == weight) {
            Some((other, _)) => {
                let expected = format!("a column of its own, not that of `{other}`");
                Err(setting("data.weight", expected, weight))
            }
            None => Ok(()),
        }
    }
}

impl RemoteConfig {
    fn validate(&self) -> Result<()> {
        if !(1..=MOST_MEMORY).contains(&self.cache_size) {
            let expected = format!("1 to {MOST_MEMORY} MiB");
            return Err(setting("data.remote.cache_size", expected, self.cache_size));
        }
        if self.retries > 100 {
            return Err(setting("data.remote.retries", "0 to 100", self.retries));
        }
        within(
            "data.remote.timeout",
            self.timeout,
            |x| (0.01..=86_400.0).contains(&x),
            "0.01 to 86400 seconds",
        )?;
        let is_secret = |name: &&String| {
            let name = name.to_ascii_lowercase();
            ["secret", "token", "password", "key", "sas"]
                .iter()
                .any(|word| name.contains(word))
        };
        match self.options.keys().find(is_secret) {
            Some(name) => Err(setting(
                "data.remote.options",
                "no secrets, which belong in the environment (this is written into the run folder)",
                name,
            )),
            None => Ok(()),
        }
    }
}

impl TargetConfig {
    /// Checks every value against its neighbours.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting).
    pub fn validate(&self) -> Result<()> {
        let names = self.names();
        if self.column.is_some() && !self.columns.is_empty() {
            return Err(setting(
                "target",
                "`column` or `columns`, not both",
                names.join(", "),
            ));
        }
        match (self.kind, names.len()) {
            (_, 0) => {
                return Err(setting(
                    "target.column",
                    "the name of the column to predict",
                    "nothing",
                ));
            }
            (TargetKind::Keypoints, n) if n % 2 == 1 => {
                let expected = "an even number of columns (x0, y0, x1, y1, …)";
                return Err(setting(
                    "target.columns",
                    expected,
                    format_args!("{n}: {}", short_list(&names)),
                ));
            }
            (TargetKind::Class, n) if n > 1 => {
                let expected = "one column (kind `multilabel` takes one boolean column per label)";
                return Err(setting(
                    "target.columns",
                    expected,
                    format_args!("{n}: {}", short_list(&names)),
                ));
            }
            _ => {}
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(setting("target.columns", "each column once", twice));
        }
        if self.scale == TargetScale::Log && self.kind != TargetKind::Regression {
            return Err(setting(
                "target.scale",
                "kind `regression` (a scale is for numbers)",
                "log",
            ));
        }
        let n_points = names.len() / 2;
        self.validate_points(n_points)?;
        for pair in &self.symmetric {
            if self.kind != TargetKind::Keypoints {
                return Err(setting(
                    "target.symmetric",
                    "kind `keypoints`",
                    format_args!("{pair:?}"),
                ));
            }
            check_pairs("target.symmetric", &[*pair], n_points)?;
        }
        let mut swapped = BTreeSet::new();
        if let Some(twice) = self
            .symmetric
            .iter()
            .flatten()
            .find(|point| !swapped.insert(**point))
        {
            return Err(setting("target.symmetric", "each point in one pair", twice));
        }
        if self.frame.is_some() && self.kind != TargetKind::Keypoints {
            return Err(setting(
                "target.frame",
                "kind `keypoints`",
                "one of another kind",
            ));
        }
        if let Some(normalizer) = self.normalizer {
            if self.kind != TargetKind::Keypoints {
                return Err(setting(
                    "target.normalizer",
                    "kind `keypoints`",
                    format_args!("{normalizer:?}").to_string().to_lowercase(),
                ));
            }
            if let Normalizer::Between(pair) = normalizer
                && (pair[0] == pair[1] || pair.iter().any(|point| *point >= n_points))
            {
                let expected = format!("two different points of 0 to {}", n_points - 1);
                return Err(setting(
                    "target.normalizer",
                    expected,
                    format_args!("{pair:?}"),
                ));
            }
        }
        Ok(())
    }
}

/// Looks whether each pair is of two points that there are.
fn check_pairs(field: &str, pairs: &[[usize; 2]], n_points: usize) -> Result<()> {
    let is_wrong =
        |pair: &&[usize; 2]| pair[0] == pair[1] || pair.iter().any(|point| *point >= n_points);
    match pairs.iter().find(is_wrong) {
        Some(pair) => {
            let expected = format!("pairs of two of the points 0 to {}", n_points - 1);
            Err(setting(field, expected, format_args!("{pair:?}")))
        }
        None => Ok(()),
    }
}

impl TargetConfig {
    /// What is said of each point.
    fn validate_points(&self, n_points: usize) -> Result<()> {
        let visibility = expand_ranges(&self.visibility);
        let lists = [
            ("target.spacing", self.spacing.iter().len()),
            ("target.sigmas", self.sigmas.iter().len()),
            ("target.area", self.area.iter().len()),
            ("target.visibility", visibility.len()),
            ("target.names", self.names.len()),
            ("target.skeleton", self.skeleton.len()),
        ];
        for (field, n) in lists.into_iter().filter(|(_, n)| *n > 0) {
            if self.kind != TargetKind::Keypoints {
                return Err(setting(field, "kind `keypoints`", "one of another kind"));
            }
            let is_each = ["target.visibility", "target.names"].contains(&field);
            if is_each && n != n_points {
                let expected = format!("one for each of {n_points} points");
                return Err(setting(field, expected, n));
            }
        }
        let is_size = |size: &f64| size.is_finite() && *size > 0.0;
        let sizes = match &self.spacing {
            Some(Spacing::Same(size)) => vec![*size],
            Some(Spacing::Each(sizes)) => sizes.to_vec(),
            _ => Vec::new(),
        };
        if let Some(size) = sizes.iter().find(|size| !is_size(size)) {
            let expected = "millimetres a pixel, above 0, or columns of them";
            return Err(setting("target.spacing", expected, size));
        }
        if let Some(sigmas) = &self.sigmas {
            let sigmas = sigmas.of_points(n_points);
            if sigmas.len() != n_points || !sigmas.iter().all(is_size) {
                let expected = format!("a number above 0 for each of {n_points} points");
                return Err(setting(
                    "target.sigmas",
                    expected,
                    format_args!("{sigmas:?}"),
                ));
            }
        }
        check_pairs("target.skeleton", &self.skeleton, n_points)?;
        for (field, names) in [
            ("target.visibility", &visibility),
            ("target.names", &self.names),
        ] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
                return Err(setting(field, "each once", twice));
            }
        }
        let own = self.names();
        if let Some(name) = visibility.iter().find(|name| own.contains(name)) {
            let expected = "columns beside those of the coordinates";
            return Err(setting("target.visibility", expected, name));
        }
        Ok(())
    }
}

impl MetadataConfig {
    fn validate(&self, name: &str) -> Result<()> {
        let field = |last: &str| format!("metadata.{}.{last}", key(name));
        if self.scale != NumberScale::Linear && self.kind != MetadataKind::Continuous {
            return Err(setting(
                field("scale"),
                "kind `continuous` (a scale is for numbers)",
                lower(self.scale),
            ));
        }
        match self.period {
            Some(period) if !(period.is_finite() && period > 0.0) => {
                return Err(setting(field("period"), "a number above 0", period));
            }
            Some(period) if self.scale != NumberScale::Periodic => {
                return Err(setting(
                    field("period"),
                    "`scale = \"periodic\"` beside it",
                    period,
                ));
            }
            None if self.scale == NumberScale::Periodic => {
                return Err(setting(
                    field("period"),
                    "the period in the column's unit (360 for degrees)",
                    "nothing",
                ));
            }
            _ => {}
        }
        if self.encoding != CategoryEncoding::Auto && self.kind != MetadataKind::Categorical {
            return Err(setting(
                field("encoding"),
                "kind `categorical`",
                lower(self.encoding),
            ));
        }
        if !self.flip.is_empty() && self.kind != MetadataKind::Categorical {
            return Err(setting(
                field("flip"),
                "kind `categorical`",
                format_args!("{:?}", self.flip),
            ));
        }
        if let Some(pattern) = &self.pattern {
            let compiled = regex::Regex::new(pattern);
            let expected = "a regular expression with a group, as in `_([0-9]+)\\.jpg$`";
            if !compiled.is_ok_and(|compiled| compiled.captures_len() > 1) {
                return Err(setting(field("pattern"), expected, pattern));
            }
        }
        if let Some(fact) = name.strip_prefix("image.")
            && self.from.is_none()
            && !["width", "height", "bytes"].contains(&fact)
        {
            return Err(setting(
                format!("metadata.{}", key(name)),
                "`image.width`, `image.height` or `image.bytes`",
                name,
            ));
        }
        Ok(())
    }
}

/// A name as a TOML key: quoted where it must be.
pub fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        name.to_owned()
    } else {
        toml::Value::String(name.to_owned()).to_string()
    }
}

fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn short_list(names: &[String]) -> String {
    match names {
        [a, b, c, _, .., last] => format!("{a}, {b}, {c}, … {last}"),
        few => few.join(", "),
    }
}
