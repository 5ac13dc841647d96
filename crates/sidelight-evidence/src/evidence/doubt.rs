//! Doubts: what each is, its title and its sentence.

use serde::{Deserialize, Serialize};

use super::measure::hundredths;
use crate::metric::words;
use sidelight_data::number::{number, whole_percent};

/// What a column that is the target in disguise can do alone.
pub(super) const PERFECT: f64 = 0.98;

/// What speaks against believing a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// Fewer independent units than an interval can be believed for.
    TooFewUnits {
        /// Units there are.
        units: usize,
        /// Of one class only, if it is that class that is rare.
        class: Option<String>,
    },
    /// The metadata alone is as good as both, or better: what is the image for?
    MetadataAloneDoesAsWell {
        /// What the values are of.
        metric: String,
        /// The metadata alone.
        metadata: f64,
        /// The arm with both.
        both: f64,
        /// Whether the metadata alone is better beyond chance.
        better: bool,
    },
    /// The image alone, with which all is compared, is no better than a constant guess.
    ImageNoBetterThanChance {
        /// What the values are of.
        metric: String,
        /// The image alone.
        image: f64,
        /// Chance.
        chance: f64,
        /// Whether the arm with metadata is beyond chance.
        both_better: bool,
    },
    /// The model that a person would train is worse than another that was compared.
    WorseThanAnotherArm {
        /// The arm that the verdict is about.
        arm: String,
        /// The best of those that are better.
        other: String,
        /// What the values are of.
        metric: String,
        /// The arm's value.
        own: f64,
        /// The other's value.
        others: f64,
        /// By what share of the other's error it is worse; absent where more is better, and beyond twice the error.
        worse_by: Option<f64>,
    },
    /// Boosted trees make more of the columns than the network of metadata alone.
    TreesUseColumnsBetter {
        /// What the values are of.
        metric: String,
        /// The trees.
        trees: f64,
        /// The metadata alone.
        metadata: f64,
    },
    /// Boosted trees on the columns beat every arm that has a network.
    TreesAreBest {
        /// What the values are of.
        metric: String,
        /// The trees.
        trees: f64,
        /// Name of the best other arm.
        arm: String,
        /// That arm.
        next: f64,
    },
    /// Without one column (nearly) all of the gain is lost, or it predicts the target (nearly) perfectly alone.
    OneColumnCarriesItAll {
        /// Name of the metadata column.
        column: String,
        /// Share of the gain that is lost when it is permuted: what it adds to the others.
        share_of_gain: Option<f64>,
        /// What it can do alone, 0 chance, 1 perfect.
        alone: Option<f64>,
        /// Other columns of which the same is true.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<String>,
    },
    /// Which values are missing tells the target, whatever the values say.
    MissingnessAlonePredictsTarget {
        /// What the values are of.
        metric: String,
        /// The gaps alone.
        gaps: f64,
        /// Chance.
        chance: f64,
        /// Share of what the metadata alone achieves over chance.
        share: Option<f64>,
    },
    /// Between strata the arm is better, within them it is not: it has learned the stratum.
    GainVanishesWithin {
        /// What the rows were divided by.
        strata: String,
        /// Gain over all rows.
        overall: f64,
        /// Gain within strata, same measure.
        within: f64,
        /// Name of the measure that both gains are in.
        measure: String,
    },
    /// Metadata of other rows "helps" as well.
    ShuffledControlGains {
        /// Its gain over the image alone, by the score that decides.
        gain: f64,
        /// Share of the gain that true metadata brings.
        share: f64,
    },
    /// Better on the whole, worse for one class, label or point.
    WorstPartDown {
        /// The class, label or keypoint.
        part: String,
        /// The metric there.
        metric: String,
        /// With the image alone.
        from: f64,
        /// The value with metadata.
        to: f64,
    },
    /// Probabilities can be believed less than those of the image alone.
    CalibrationWorse {
        /// Expected calibration error with the image alone.
        from: f64,
        /// The value with metadata.
        to: f64,
    },
    /// The same image is learned from and tested on.
    DuplicatesAcrossFolds {
        /// Number of rows concerned.
        rows: usize,
        /// Share of the gain that remains without them; absent where there is none.
        remains: Option<f64>,
    },
    /// A column names the row, so it can only be remembered, not generalised.
    IdentifierLikeColumn {
        /// Name of the metadata column.
        column: String,
        /// Share of the gain that is lost when it is permuted.
        share_of_gain: Option<f64>,
    },
    /// Its values may name what several images are of (a person, a place): in a random fold they are all known.
    ColumnMayNameSubjects {
        /// Name of the metadata column.
        column: String,
        /// How often an image is nearer to another of its value than to one of another value.
        resemblance: f64,
        /// Share of the gain that is lost when it is permuted.
        share_of_gain: Option<f64>,
    },
    /// The file, not the scene, tells the target: how it was saved, by which device, how large.
    FilePredictsTarget {
        /// Name of the metadata column.
        column: String,
        /// What it can do alone, 0 chance, 1 perfect.
        alone: f64,
        /// Whether the arms read it.
        used: bool,
    },
    /// The difference may be chance.
    IntervalCrossesZero {
        /// The score that decides.
        metric: String,
        /// Lower end of the difference.
        low: f64,
        /// Upper end of the difference.
        high: f64,
    },
}

impl Doubt {
    /// In a few words.
    pub fn title(&self) -> &'static str {
        match self {
            Self::TooFewUnits { class: None, .. } => "Too few independent units",
            Self::TooFewUnits { class: Some(_), .. } => "Too few independent units of a class",
            Self::MetadataAloneDoesAsWell { better: true, .. } => "Metadata alone does better",
            Self::MetadataAloneDoesAsWell { better: false, .. } => "Metadata alone may do as well",
            Self::ImageNoBetterThanChance { .. } => "Image not shown to be better than chance",
            Self::WorseThanAnotherArm { .. } => "Another model does better",
            Self::TreesUseColumnsBetter { .. } => "Trees use the columns better",
            Self::TreesAreBest { .. } => "Trees need no network",
            Self::OneColumnCarriesItAll { alone, .. } if is_perfect(*alone) => {
                "A column gives the target away"
            }
            Self::OneColumnCarriesItAll { .. } => "The gain needs one column",
            Self::MissingnessAlonePredictsTarget { .. } => "Missingness predicts the target",
            Self::GainVanishesWithin { .. } => "Gain vanishes within strata",
            Self::ShuffledControlGains { .. } => "Shuffled metadata helps too",
            Self::WorstPartDown { .. } => "Worse for some rows",
            Self::CalibrationWorse { .. } => "Calibration gets worse",
            Self::DuplicatesAcrossFolds { .. } => "Duplicates across folds",
            Self::IdentifierLikeColumn { .. } => "Column looks like an identifier",
            Self::ColumnMayNameSubjects { .. } => "Column may name persons or places",
            Self::FilePredictsTarget { .. } => "File properties predict the target",
            Self::IntervalCrossesZero { .. } => "Interval includes zero",
        }
    }

    /// For a person, without a full stop.
    pub fn sentence(&self) -> String {
        let n = |value: &f64| number(*value);
        match self {
            Self::TooFewUnits { units, class: None } => {
                format!("only {units} independent units: too few to trust an interval")
            }
            Self::TooFewUnits {
                units,
                class: Some(class),
            } => format!("class `{class}` has only {units} independent units"),
            Self::MetadataAloneDoesAsWell {
                metric,
                metadata,
                both,
                better,
            } => format!(
                "{}: {} {} without the image, {} with it",
                if *better {
                    "the metadata alone does better"
                } else {
                    "the image is not shown to add anything to the metadata"
                },
                words(metric),
                n(metadata),
                n(both)
            ),
            Self::WorseThanAnotherArm {
                arm,
                other,
                metric,
                own,
                others,
                worse_by,
            } => format!(
                "the model that you would train, `{arm}`, is {}worse than `{other}`: {} {} against {}",
                worse_by.map_or(String::new(), |share| format!("{} ", hundredths(share))),
                words(metric),
                n(own),
                n(others)
            ),
            Self::TreesUseColumnsBetter {
                metric,
                trees,
                metadata,
            } => format!(
                "boosted trees use these columns better ({} {} against {})",
                words(metric),
                n(trees),
                n(metadata)
            ),
            Self::TreesAreBest {
                metric,
                trees,
                arm,
                next,
            } => format!(
                "boosted trees on the columns alone are the best of all ({} {} against {} for `{arm}`): \
                 nobody needs the network",
                words(metric),
                n(trees),
                n(next)
            ),
            Self::ImageNoBetterThanChance {
                metric,
                image,
                chance,
                both_better,
            } => format!(
                "the image alone is not shown to be better than a constant guess ({} {} against {}){}",
                words(metric),
                n(image),
                n(chance),
                if *both_better {
                    ""
                } else {
                    ", nor is the image with metadata"
                }
            ),
            Self::OneColumnCarriesItAll { column, alone, .. } if is_perfect(*alone) => format!(
                "column `{column}` alone predicts the target perfectly: is it the target in disguise?"
            ),
            Self::OneColumnCarriesItAll {
                column,
                share_of_gain,
                alone,
                others,
            } => {
                let share = share_of_gain.map_or_else(|| "all".into(), whole_percent);
                let alone = alone.map_or(String::new(), |alone| {
                    format!(
                        "; by itself it goes {} of the way from chance to perfect",
                        whole_percent(alone)
                    )
                });
                let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
                let others = match &others[..] {
                    [] => String::new(),
                    _ => format!(
                        "; so does permuting {}: the gain needs them together",
                        others.join(", ")
                    ),
                };
                format!(
                    "permuting column `{column}` loses {share} of the gain: what it adds to the other columns{alone}{others}"
                )
            }
            Self::MissingnessAlonePredictsTarget {
                metric,
                gaps,
                chance,
                share,
            } => format!(
                "which values are missing predicts the target, whatever the values are ({} {} versus {} by chance{})",
                words(metric),
                n(gaps),
                n(chance),
                share.map_or(String::new(), |share| format!(
                    "; {} of what the metadata achieves alone",
                    whole_percent(share)
                ))
            ),
            Self::GainVanishesWithin {
                strata,
                overall,
                within,
                measure,
            } => format!(
                "within one value of `{strata}` the gain vanishes ({measure}: {} over all rows, {} within): \
                 the model learned `{strata}`",
                n(overall),
                n(within)
            ),
            Self::ShuffledControlGains { share, .. } => format!(
                "metadata of other rows helps as well ({} of the gain)",
                whole_percent(*share)
            ),
            Self::WorstPartDown {
                part,
                metric,
                from,
                to,
            } => format!(
                "better overall, but {part} gets worse: {metric} from {} to {}",
                n(from),
                n(to)
            ),
            Self::CalibrationWorse { from, to } => format!(
                "its probabilities are less reliable: calibration error from {} to {}",
                n(from),
                n(to)
            ),
            Self::DuplicatesAcrossFolds { rows, remains } => format!(
                "{rows} rows have an image that is also in another fold{}",
                remains.map_or(String::new(), |share| format!(
                    "; without them {} of the gain remains",
                    whole_percent(share)
                ))
            ),
            Self::IdentifierLikeColumn {
                column,
                share_of_gain,
            } => format!(
                "column `{column}` looks like an identifier{}",
                share_of_gain.map_or(String::new(), |share| format!(
                    ", and permuting it loses {} of the gain",
                    whole_percent(share)
                ))
            ),
            Self::ColumnMayNameSubjects {
                column,
                resemblance,
                share_of_gain,
            } => format!(
                "images of one value of `{column}` resemble each other (nearer than one of another value in {} of pairs): \
                 if it names persons or places, new ones are predicted worse than this says{}; `data.group = {column:?}` tells",
                whole_percent(*resemblance),
                share_of_gain.map_or(String::new(), |share| format!(
                    ", and permuting it loses {} of the gain",
                    whole_percent(share)
                ))
            ),
            Self::FilePredictsTarget {
                column,
                alone,
                used,
            } => format!(
                "`{column}`, a property of the file, predicts the target ({} of the way from chance to perfect){}",
                whole_percent(*alone),
                if *used {
                    ", and the arms read it"
                } else {
                    "; the images may carry the same trace"
                }
            ),
            Self::IntervalCrossesZero { metric, low, high } => format!(
                "the interval of what decides includes zero ({}: {} to {})",
                words(metric),
                n(low),
                n(high)
            ),
        }
    }
}

fn is_perfect(alone: Option<f64>) -> bool {
    alone.is_some_and(|alone| alone >= PERFECT)
}
