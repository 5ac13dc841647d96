//! What is compared, and what has to be trained for it.

use std::fmt;

use crate::config::Config;
use crate::error::{Error, EvidenceError, Result};
use crate::evidence::Role;
use crate::network::fusion;

/// The arms that are not fusions, by name.
const NAMES: [&str; 8] = [
    "image",
    "metadata",
    "trees",
    "vote",
    "weighted-vote",
    "shuffled",
    "all-missing",
    "gaps-only",
];

/// An arm of a comparison. Its name is the same on the command line, in files and in reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arm {
    /// The image alone: the reference.
    Image,
    /// The metadata alone.
    Metadata,
    /// The metadata alone, by gradient boosting.
    Trees,
    /// The mean of the predictions of image and metadata.
    Vote,
    /// The same, their weight learned on the inner validation rows of each fold.
    WeightedVote,
    /// Both in one network, joined by this method.
    Fusion(String),
    /// Control: the first fusion, the metadata of all rows permuted (see [`super::variant::permuted`]).
    Shuffled,
    /// Control: the first fusion as trained, all metadata missing when it predicts.
    AllMissing,
    /// Control: metadata alone, of which only remains what is missing.
    GapsOnly,
}

/// What one training makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// The image alone.
    Image,
    /// The metadata alone.
    Metadata,
    /// The metadata alone: trees instead of a network.
    Trees,
    /// Reads only which metadata is missing.
    GapsOnly,
    /// Both in one network, joined by the fusion of this name.
    Fusion(String),
    /// Reads both, metadata permuted.
    Shuffled(String),
}

impl Arm {
    /// The arms of these names; of none, all that `config` suggests: `image`, `metadata`, `trees`, both votes, its fusion,
    /// and the three controls. The image alone is always among them, and comes first.
    ///
    /// `both` stands for the configuration's own fusion.
    ///
    /// # Errors
    ///
    /// - [`Error::NoArm`]: there is no such arm.
    /// - [`EvidenceError::NoSuchArm`](crate::error::EvidenceError::NoSuchArm): none of them includes metadata, or a control of a fusion without a fusion.
    pub fn named(names: &[String], config: &Config) -> Result<Vec<Self>> {
        let all = [
            "metadata",
            "trees",
            "vote",
            "weighted-vote",
            "both",
            "shuffled",
            "all-missing",
            "gaps-only",
        ];
        let names = if names.is_empty() {
            all.map(String::from).to_vec()
        } else {
            names.to_vec()
        };
        let mut arms = vec![Self::Image];
        for name in &names {
            let arm = Self::from_name(name, config)?;
            if !arms.contains(&arm) {
                arms.push(arm);
            }
        }
        // A configuration whose fusion is the vote trains it as one network; it has the name already.
        if arms
            .iter()
            .any(|arm| matches!(arm, Self::Fusion(name) if name == fusion::VOTE))
        {
            arms.retain(|arm| *arm != Self::Vote);
        }
        if !arms.iter().any(|arm| arm.role().is_candidate()) {
            return Err(EvidenceError::NoSuchArm {
                role: "image and metadata together",
            }
            .into());
        }
        let needs_fusion = |arm: &Self| matches!(arm, Self::Shuffled | Self::AllMissing);
        if arms.iter().any(needs_fusion) && first_fusion(&arms).is_none() {
            return Err(EvidenceError::NoSuchArm {
                role: "the fusion that is to be controlled",
            }
            .into());
        }
        arms.sort_by_key(Self::place);
        Ok(arms)
    }

    fn from_name(name: &str, config: &Config) -> Result<Self> {
        Ok(match name {
            "image" => Self::Image,
            "metadata" => Self::Metadata,
            "trees" => Self::Trees,
            "vote" => Self::Vote,
            "weighted-vote" => Self::WeightedVote,
            "shuffled" => Self::Shuffled,
            "all-missing" => Self::AllMissing,
            "gaps-only" => Self::GapsOnly,
            "both" => Self::Fusion(config.model.fusion.clone()),
            name if fusion::NAMES.contains(&name) => Self::Fusion(name.to_owned()),
            name => {
                let fusions = fusion::NAMES.iter().filter(|name| !NAMES.contains(name));
                let names = NAMES.iter().chain(fusions).map(|name| (*name).to_owned());
                return Err(Error::NoArm {
                    name: name.to_owned(),
                    names: names.collect(),
                });
            }
        })
    }

    /// The name it has on the command line and in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Image => "image",
            Self::Metadata => "metadata",
            Self::Trees => "trees",
            Self::Vote => "vote",
            Self::WeightedVote => "weighted-vote",
            Self::Fusion(name) => name,
            Self::Shuffled => "shuffled",
            Self::AllMissing => "all-missing",
            Self::GapsOnly => "gaps-only",
        }
    }

    /// What it is as evidence.
    pub fn role(&self) -> Role {
        match self {
            Self::Image => Role::Image,
            Self::Metadata => Role::Metadata,
            Self::Trees => Role::Trees,
            Self::Vote => Role::Vote,
            Self::WeightedVote => Role::WeightedVote,
            Self::Fusion(_) => Role::Fusion,
            Self::Shuffled => Role::Shuffled,
            Self::AllMissing => Role::AllMissing,
            Self::GapsOnly => Role::GapsOnly,
        }
    }

    /// Its place in tables; fusions stay in the order that they were asked for.
    fn place(&self) -> usize {
        match self {
            Self::Image => 0,
            Self::Metadata => 1,
            Self::Trees => 2,
            Self::Vote => 3,
            Self::WeightedVote => 4,
            Self::Fusion(_) => 5,
            Self::Shuffled => 6,
            Self::AllMissing => 7,
            Self::GapsOnly => 8,
        }
    }
}

/// The fusion that the controls control.
pub(super) fn first_fusion(arms: &[Arm]) -> Option<&str> {
    arms.iter().find_map(|arm| match arm {
        Arm::Fusion(name) => Some(name.as_str()),
        _ => None,
    })
}

impl Model {
    /// All that these arms need, each once.
    pub(super) fn needed_by(arms: &[Arm]) -> Vec<Self> {
        let fusion = || first_fusion(arms).unwrap_or_default().to_owned();
        let mut models: Vec<Self> = arms
            .iter()
            .flat_map(|arm| match arm {
                Arm::Image => vec![Self::Image],
                Arm::Metadata => vec![Self::Metadata],
                Arm::Trees => vec![Self::Trees],
                Arm::Vote | Arm::WeightedVote => vec![Self::Image, Self::Metadata],
                Arm::Fusion(name) => vec![Self::Fusion(name.clone())],
                Arm::Shuffled => vec![Self::Shuffled(fusion())],
                Arm::AllMissing => vec![Self::Fusion(fusion())],
                Arm::GapsOnly => vec![Self::GapsOnly],
            })
            .collect();
        models.sort();
        models.dedup();
        models
    }

    /// Whether it looks at images.
    pub(super) fn reads_image(&self) -> bool {
        !matches!(self, Self::Metadata | Self::Trees | Self::GapsOnly)
    }

    /// Whether the votes are made of it.
    pub(super) fn is_voter(&self) -> bool {
        matches!(self, Self::Image | Self::Metadata)
    }

    /// Whether it is asked what it predicts when metadata is missing.
    pub(super) fn can_miss_metadata(&self) -> bool {
        matches!(self, Self::Metadata | Self::Trees | Self::Fusion(_))
    }

    /// As it stands in the name of a file: letters, digits and dashes only.
    pub(super) fn file_name(&self) -> String {
        match self {
            Self::Shuffled(fusion) => format!("{fusion}-shuffled"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("image"),
            Self::Metadata => f.write_str("metadata"),
            Self::Trees => f.write_str("trees"),
            Self::GapsOnly => f.write_str("gaps-only"),
            Self::Fusion(name) => f.write_str(name),
            Self::Shuffled(name) => write!(f, "{name}, shuffled"),
        }
    }
}
