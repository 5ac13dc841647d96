//! Does the metadata help? From out-of-fold predictions of all arms to a verdict with its doubts.
//!
//! Plain data in ([`Study`]), plain data out ([`Evidence`], which is `compare.json`): nothing is
//! trained, read or written here.
//!
//! # The decision
//!
//! Every arm that includes metadata (fusions, votes) is compared with the image alone on the same
//! rows. Its p value is the larger of two: that of a [cluster bootstrap](crate::statistics::bootstrap)
//! of the difference of the pooled out-of-fold metric, which sees the luck of the rows, and a
//! quarter of that of the [corrected resampled t](crate::statistics::significance::corrected_resampled_t)
//! over folds and seeds, which sees the luck of training but is timid: at 95 % it would find half of
//! what the bootstrap finds. So at α = 0.05 the bootstrap decides and the folds must not
//! contradict (p < 0.2). Holm's method corrects for the number of such arms. *Harms* needs both at
//! the full 95 %: a few columns of noise cost every network a little, and that is not news.
//! `cargo run --release --example false_alarms` measures how often this cries wolf.
//!
//! A gain is called spurious when a control explains it: see [`Doubt`].

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metric::Better;
use crate::statistics::Interval;
use crate::statistics::bootstrap::Bootstrap;
use sidelight_data::dataset::Targets;
use sidelight_data::task::{Prediction, Task};

mod chance;
mod doubt;
mod doubts;
mod facts;
mod measure;
mod opponent;
mod parts;
mod verdict;
mod within;

pub use doubt::Doubt;
use measure::Scored;

/// Everything that was predicted, and what else is known of rows and columns.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// The task, with the classes of all rows (see [`Task::adopt`] for folds that lack one).
    pub task: &'a Task,
    /// The truth, one a row.
    pub targets: &'a Targets,
    /// What the arms are compared by: one of the task's.
    pub metric: &'a str,
    /// The independent unit of each row: its group, or a number of its own.
    pub units: &'a [u32],
    /// `[seed][row]`: the fold in which a row was held out.
    pub folds: &'a [Vec<u32>],
    /// Width and height of each row's image as stored, where that is known.
    pub sizes: Option<&'a [[f32; 2]]>,
    /// The arms; one has the role [`Role::Image`], and at least one includes metadata.
    pub arms: &'a [Arm],
    /// What else is known.
    pub facts: &'a Facts,
    /// Resamples, level and seed of the bootstrap.
    pub how: Bootstrap,
}

/// One arm's out-of-fold predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Its name in tables.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// `[seed][row]`; `None`: the row could not be read. Such rows are left out for all arms.
    pub predictions: Vec<Vec<Option<Prediction>>>,
}

/// What an arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Says the average of the training rows: what is left without any input. Made here if absent.
    Chance,
    /// The image alone: the reference.
    Image,
    /// The metadata alone.
    Metadata,
    /// The metadata alone, by boosted trees: no network.
    Trees,
    /// Both, by the average of two models.
    Vote,
    /// Both, by an average whose weight was learned on held-out rows.
    WeightedVote,
    /// Both, in one network.
    Fusion,
    /// Control: a fusion trained with the metadata of other rows.
    Shuffled,
    /// Control: a fusion that gets no metadata when it is evaluated.
    AllMissing,
    /// Control: only which metadata is missing, not what it says.
    GapsOnly,
}

impl Role {
    /// Whether this is a way to include metadata, about which a claim is made.
    pub fn is_candidate(self) -> bool {
        matches!(self, Self::Vote | Self::WeightedVote | Self::Fusion)
    }
}

/// What else is known, found before or beside training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Columns and what they can do alone.
    pub columns: Vec<ColumnFact>,
    /// Pairs of rows whose images are the same (or nearly), whatever their folds.
    pub duplicates: Vec<[usize; 2]>,
    /// Ways to divide the rows within which a real gain should persist: a site, a device, a group.
    /// Not a metadata column that may rightly decide the target.
    pub strata: Vec<Grouping>,
    /// Ways to divide the rows for which the change is told part by part.
    pub subgroups: Vec<Grouping>,
}

/// A way to divide rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grouping {
    /// What it is called: a column's name.
    pub name: String,
    /// Names of its values.
    pub levels: Vec<String>,
    /// Index into the values, one a row; `None`: missing.
    pub of_row: Vec<Option<u32>>,
}

/// What is known of one column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnFact {
    /// Name of the metadata column.
    pub column: String,
    /// Whether the arms read it.
    pub used: bool,
    /// Share of the gain over the image alone that is lost when this column is shuffled in held-out rows.
    pub share_of_gain: Option<f64>,
    /// What it can do alone, cross-validated: 0 as good as chance, 1 perfect.
    pub alone: Option<f64>,
    /// Nearly every unit has a value of its own (a number of the file, a name).
    pub identifier: bool,
    /// It tells of the file, not of the scene: file size, width, height, EXIF.
    pub from_file: bool,
}

/// The whole answer: `compare.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Schema of `compare.json`, 1.
    pub schema: u32,
    /// What arms are compared by.
    pub metric: ComparedMetric,
    /// Rows that every arm predicted.
    pub rows: usize,
    /// Independent units among them.
    pub units: usize,
    /// Folds of each seed.
    pub folds: usize,
    /// Number of seeds, each with folds of its own.
    pub seeds: usize,
    /// Every arm's score.
    pub arms: Vec<ArmScore>,
    /// Every comparison, claims first.
    pub differences: Vec<Difference>,
    /// Whether the metadata helps, with the doubts.
    pub verdict: Verdict,
    /// The change from the image alone to the best arm with metadata, part by part.
    pub parts: Vec<PartChange>,
    /// How far probabilities can be believed; empty for points and values.
    pub calibration: Vec<Calibration>,
    /// The metric against the share of metadata missing; filled by whoever predicted it.
    #[serde(default)]
    pub missingness: Vec<MissingnessPoint>,
}

/// What arms are compared by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedMetric {
    /// As in `metrics.json`.
    pub name: String,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// One arm's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmScore {
    /// Name of the arm.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Number of rows.
    pub n: usize,
    /// Mean over folds and seeds.
    pub mean: Option<f64>,
    /// Standard deviation over folds and seeds.
    pub sd: Option<f64>,
    /// Of all out-of-fold predictions together, mean over seeds.
    pub pooled: Option<f64>,
    /// One a fold, all folds of the first seed first; `null` where the metric is not defined.
    pub per_fold: Vec<Option<f64>>,
}

/// A paired difference between an arm and the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the arm.
    pub arm: String,
    /// What it is compared with.
    pub reference: String,
    /// Arm minus reference, in the metric's unit.
    pub delta: f64,
    /// Lower end of the interval; absent where the method gives none.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Two-sided, not adjusted.
    pub p: f64,
    /// For claims: the p value that decides (see the module), adjusted for the number of claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    /// `cluster bootstrap`, `corrected resampled t`, `DeLong`, `McNemar (mid-p)`.
    pub method: String,
}

/// The answer to whether the metadata helps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer as a code.
    pub code: VerdictCode,
    /// The answer as a sentence.
    pub sentence: String,
    /// The arm it is about: the best that includes metadata.
    pub arm: String,
    /// What speaks against believing it, the gravest first.
    pub doubts: Vec<DoubtEntry>,
}

/// The four answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictCode {
    /// An arm with metadata is better than the image alone, and no control explains it away.
    Helps,
    /// The difference may be chance.
    NoEvidence,
    /// The best arm with metadata is worse than the image alone.
    Harms,
    /// Better, but a control explains it.
    HelpsButSpurious,
}

impl VerdictCode {
    /// As in `compare.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helps => "helps",
            Self::NoEvidence => "no_evidence",
            Self::Harms => "harms",
            Self::HelpsButSpurious => "helps_but_spurious",
        }
    }
}

/// A doubt as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoubtEntry {
    /// The doubt and its numbers.
    #[serde(flatten)]
    pub doubt: Doubt,
    /// For a person.
    pub sentence: String,
    /// Whether it explains the gain away.
    pub spurious: bool,
}

/// The change of one part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartChange {
    /// `class`, `label`, `point`, `column`, or the subgroups' column.
    pub by: String,
    /// Its name: a class, label, keypoint, column or value of the subgroups' column.
    pub part: String,
    /// The metric there.
    pub metric: String,
    /// Number of rows.
    pub n: usize,
    /// With the image alone.
    pub image: f64,
    /// The metric with the metadata.
    pub with_metadata: f64,
    /// The metric with metadata minus that without.
    pub delta: f64,
    /// Confidence interval of the difference.
    pub interval: Option<Interval>,
}

/// How far an arm's probabilities can be believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Name of the arm.
    pub arm: String,
    /// Expected calibration error, mean over seeds.
    pub ece: f64,
    /// The temperature that would fit these predictions best: above 1, too sure.
    pub temperature: f64,
    /// Reliability diagram of all seeds together.
    pub bins: Vec<crate::metric::calibration::Bin>,
}

/// The metric with a share of the metadata missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissingnessPoint {
    /// Name of the arm.
    pub arm: String,
    /// In [0, 1].
    pub share: f64,
    /// Value of the metric.
    pub value: f64,
    /// Number of rows.
    pub n: usize,
}

/// Weighs the evidence.
///
/// # Errors
///
/// - [`Error::NoSuchArm`]: no image-only arm, or no arm that includes metadata.
/// - [`Error::Uncomparable`]: the metric is not one of the task's that can be compared, or it is
///   not defined for these predictions.
///
/// # Panics
///
/// When arms, folds and units do not have one entry per row and seed.
pub fn evaluate(study: &Study) -> Result<Evidence> {
    let scored = Scored::new(study)?;
    let (claims, mut differences) = verdict::claims(&scored)?;
    let best = verdict::best(&claims);
    differences.extend(verdict::controls(&scored, best.arm));
    differences.extend(opponent::differences(&scored, best.arm));
    let parts = parts::changes(&scored, best.arm);
    let calibration = parts::calibration(&scored);
    let doubts = doubts::doubts(&scored, best, &differences, &parts);
    let verdict = verdict::decide(&scored, best, doubts);
    Ok(Evidence {
        schema: 1,
        metric: ComparedMetric {
            name: study.metric.into(),
            higher_is_better: scored.better == Better::Higher,
        },
        rows: scored.rows.len(),
        units: scored.n_units,
        folds: scored.n_folds,
        seeds: study.folds.len(),
        arms: scored
            .arms
            .iter()
            .map(|arm| scored.arm_score(arm))
            .collect(),
        differences,
        verdict,
        parts,
        calibration,
        missingness: Vec::new(),
    })
}

fn no_arm(role: &'static str) -> Error {
    Error::NoSuchArm { role }
}

#[cfg(test)]
mod tests;
