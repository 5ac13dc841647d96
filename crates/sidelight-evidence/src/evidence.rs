//! Does the metadata help? From out-of-fold predictions of all arms to a verdict with its doubts.
//!
//! Plain data in ([`Study`]), plain data out ([`Evidence`], which is `compare.json`): nothing is
//! trained, read or written here.
//!
//! # The decision
//!
//! One arm, named beforehand (the first fusion: the configuration's own), is compared with the image alone on the same
//! rows, by one proper score: log loss of classes and labels, [Huber's loss](crate::metric::METRICS) of the
//! standardised errors of values, the normalised error of points. A score is proper when nothing but saying what one
//! knows makes it least (Gneiting & Raftery 2007, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA
//! 102); no threshold and no class's frequency decides. Its difference varies by the luck of rows and of fits:
//! [`of_units_and_fits`](crate::statistics::significance::of_units_and_fits) gives the interval, and the interval
//! decides. The metric that was asked for translates the decision and never makes it: whatever it is, the verdict is
//! the same. Other metrics and other arms stand beside it, with the reason where they say something else.
//! `cargo run --release --example false_alarms` measures how often this cries wolf.
//!
//! A gain is called spurious when a control explains it: see [`Doubt`].

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metric::{Better, better};
use crate::statistics::Interval;
use crate::statistics::bootstrap::Bootstrap;
use sidelight_data::dataset::{RowWeights, Targets};
use sidelight_data::split::FoldOrder;
use sidelight_data::task::{Prediction, Task};

mod chance;
mod decision;
mod doubt;
mod doubts;
mod facts;
mod measure;
mod opponent;
mod parts;
mod verdict;
mod within;

use decision::Named;
pub use doubt::Doubt;
pub use facts::lone_units;
use measure::Scored;

/// Everything that was predicted, and what else is known of rows and columns.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// The task, with the classes of all rows (see [`Task::adopt`] for folds that lack one).
    pub task: &'a Task,
    /// The truth, one a row.
    pub targets: &'a Targets,
    /// What the decision is told in: one of the task's. It does not decide.
    pub metric: &'a str,
    /// The independent unit of each row: its group, or a number of its own.
    pub units: &'a [u32],
    /// `[seed][row]`: the fold in which a row was held out.
    pub folds: &'a [Vec<u32>],
    /// Which folds were tested, and what was learned from then. Rows of the others have no predictions and count nowhere.
    pub order: FoldOrder,
    /// Width and height of each row's image as stored, where that is known.
    pub sizes: Option<&'a [[f32; 2]]>,
    /// How much each row counts, in every score and every difference. `None`: all the same.
    pub weights: Option<&'a RowWeights>,
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

    /// Whether it only keeps the others honest.
    pub fn is_control(self) -> bool {
        matches!(
            self,
            Self::Chance | Self::Shuffled | Self::AllMissing | Self::GapsOnly
        )
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
    /// How often an image is nearer to another of its value than to one of another value, where that is so often that the
    /// values may be persons or places.
    pub resemblance: Option<f64>,
}

/// The whole answer: `compare.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Schema of `compare.json`, 1.
    pub schema: u32,
    /// What the decision is told in.
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
    /// What decides, and what stands beside it.
    pub decision: Decision,
    /// Every comparison, by the score that decides and by the metric; arms with metadata against the image alone first.
    pub differences: Vec<Difference>,
    /// Whether the metadata helps, with the doubts.
    pub verdict: Verdict,
    /// The change from the image alone to the arm that the verdict is about, part by part.
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
    /// The score that decides, of all out-of-fold predictions together, mean over seeds.
    pub score: Option<f64>,
    /// As `pooled`, of units of several rows: the mean of what is said of a unit's rows is scored once. Absent where no unit
    /// has several, where the rows of one differ in their target, and of points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_unit: Option<f64>,
    /// One a fold, all folds of the first seed first; `null` where the metric is not defined.
    pub per_fold: Vec<Option<f64>>,
}

/// A paired difference between an arm and the reference, by the luck of units and of fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the arm.
    pub arm: String,
    /// What it is compared with.
    pub reference: String,
    /// The score that decides, or the metric.
    pub metric: String,
    /// Arm minus reference over all out-of-fold predictions, in the metric's unit.
    pub delta: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided, of this comparison alone.
    pub p: f64,
    /// What the interval says.
    pub direction: Direction,
}

/// What an interval says of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// All of it is better than the reference.
    Better,
    /// All of it is worse.
    Worse,
    /// It includes zero.
    Undecided,
}

impl Direction {
    fn of(better: Better, interval: Interval) -> Self {
        let [worst, best] = match better {
            Better::Higher => [interval.low, interval.high],
            Better::Lower => [-interval.high, -interval.low],
        };
        match (worst > 0.0, best < 0.0) {
            (true, _) => Self::Better,
            (_, true) => Self::Worse,
            _ => Self::Undecided,
        }
    }
}

/// What decides: one arm, named beforehand, against the image alone, by a proper score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Name of the score, of which less is better: `log_loss`, `huber`, `mean_nme` or `mean_px`.
    pub score: String,
    /// The arm: the first fusion.
    pub arm: String,
    /// What it is compared with: the image alone.
    pub reference: String,
    /// Arm minus reference.
    pub difference: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Two-sided: below 1 − level where the interval excludes zero.
    pub p: f64,
    /// What the interval says.
    pub direction: Direction,
    /// The same arm by other metrics, the one that was asked for first, and other arms by the score.
    pub sensitivity: Vec<Sensitivity>,
}

/// What stands beside the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// The comparison, with the image alone.
    #[serde(flatten)]
    pub line: Difference,
    /// Why it can say something else than what decides, where it does.
    pub why: Option<String>,
}

/// The answer to whether the metadata helps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer as a code.
    pub code: VerdictCode,
    /// The answer as a sentence.
    pub sentence: String,
    /// The arm it is about, named before anything was trained.
    pub arm: String,
    /// What speaks against believing it, the gravest first.
    pub doubts: Vec<DoubtEntry>,
}

/// The four answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictCode {
    /// The arm with metadata is better than the image alone, and no control explains it away.
    Helps,
    /// The difference may be chance.
    NoEvidence,
    /// The arm with metadata is worse than the image alone.
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
    let named = Named::new(&scored)?;
    let differences = decision::differences(&scored, named.arm);
    let parts = parts::changes(&scored, named.arm);
    let calibration = parts::calibration(&scored);
    let doubts = doubts::doubts(&scored, &named, &differences, &parts);
    let decision = named.decision(&scored, &differences);
    let verdict = verdict::decide(&scored, &decision, doubts);
    Ok(Evidence {
        schema: 1,
        metric: ComparedMetric {
            name: study.metric.into(),
            higher_is_better: better(study.metric) == Better::Higher,
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
        decision,
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
