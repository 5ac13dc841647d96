//! The branch of a stack that is not learned by steps: boosted trees over the metadata.
//!
//! Trees find thresholds, and leave columns alone that say nothing, where a network of a few hundred steps does not
//! (Grinsztajn et al. 2022, "Why do tree-based models still outperform deep learning on tabular data?", arXiv:2207.08815).
//! They are grown before the first step, one model for each member of the stack, or, where there is one, the mean of a few.

use crate::boosting::columns::{Folded, grow, inputs, parts, targets};
use crate::boosting::screen::{Screened, Screens};
use crate::boosting::{Boosted, DEPTH, Feature, MEMBERS, ROUNDS};
use crate::encode::Encoder;
use crate::error::Result;
use crate::network::layer::{Branch, Stack, TreeInput, Trees};
use crate::network::{Node, Start};
use crate::split::{deal, n_units};
use crate::task::Task;

use super::residual::residuals;
use super::session::Session;

/// Name of the branch.
const TREES: &str = "trees";
/// Rows that trees are grown on, at most.
pub(crate) const MOST_ROWS: usize = 20_000;
/// Numbers in the leaves of a member's trees, at most.
const MOST_LEAVES: usize = 1 << 20;

/// Boosted trees of the metadata, before they are a part of a network.
#[derive(Debug)]
pub(crate) struct Grown {
    /// What they read of a row.
    pub(crate) inputs: Vec<TreeInput>,
    /// `[member][part of the outputs]`, each the mean of so many.
    pub(crate) models: Vec<Vec<Vec<Boosted>>>,
    rows: DealtRows,
}

/// Rows that trees are grown on, dealt to the models that leave them out.
#[derive(Debug)]
struct DealtRows {
    rows: Vec<usize>,
    folds: Vec<u32>,
    n_folds: usize,
    /// What trees learn of each, `[row][output]`; NaN: unknown.
    targets: Vec<Vec<f64>>,
    /// How much each counts; `None`: all the same.
    weights: Option<Vec<f64>>,
}

impl Grown {
    /// The rows they were grown on, and the model that left each out.
    pub(crate) fn rows_and_folds(&self) -> (&[usize], &[u32]) {
        (&self.rows.rows, &self.rows.folds)
    }
}

impl Session {
    /// Grows the trees of a stack that reads metadata, where it has none yet. They depend on the training rows alone, so a
    /// resumed run grows the same. Returns the names of columns that no other branch reads.
    ///
    /// # Errors
    ///
    /// As [`deal`].
    pub(super) fn grow_trees(&mut self) -> Result<Vec<String>> {
        if !self.can_have_trees() || self.has_trees() {
            return Ok(Vec::new());
        }
        // Of more than fit into the network none is grown.
        let grown = self.grow(self.most_trees(), &|| true)?;
        Ok(grown.map_or_else(Vec::new, |grown| self.plant(&grown)))
    }

    /// Whether trees would be a branch of its network.
    pub(crate) fn can_have_trees(&self) -> bool {
        let stack = self.state.network.root.stack();
        let reads_metadata =
            |(stack, _): (&Stack, _)| stack.branches.iter().any(|branch| branch.metadata);
        !matches!(*self.setup.task, Task::Keypoints { .. }) && stack.is_some_and(reads_metadata)
    }

    fn has_trees(&self) -> bool {
        let stack = self.state.network.root.stack();
        stack.is_some_and(|(stack, _)| stack.branches.iter().any(|branch| branch.name == TREES))
    }

    /// Makes these trees a branch of the stack, and has the others read the columns that say anything. Returns the names of
    /// those that none reads.
    pub(crate) fn plant(&mut self, grown: &Grown) -> Vec<String> {
        let screens = self.screens(grown);
        let Grown { inputs, models, .. } = grown;
        let device = self.setup.batches.device.clone();
        let (n_outputs, most) = (self.setup.task.n_outputs(), self.most_trees());
        let nodes: Vec<(String, Node)> = models
            .iter()
            .enumerate()
            .map(|(k, parts)| {
                let (layer, values) = to_layer(inputs, parts, n_outputs, most);
                let mut node = Node::new(&layer.into(), "", Start::Zeros, &device);
                for (parameter, values) in node.parameters.0.iter_mut().zip(values) {
                    parameter.set_values(values);
                }
                (format!("{TREES}{k}"), node)
            })
            .collect();
        let members = self.setup.members.n();
        if let Some(node) = self.state.network.root.stack_mut() {
            node.screen_branches(|branch, member| {
                let screens = if branch.image {
                    &screens.beside_image
                } else {
                    &screens.alone
                };
                // A member alone has learned from all rows.
                let left_out = if members == 1 {
                    screens.len() - 1
                } else {
                    member
                };
                numbers_of(&self.setup.batches.source.encoder, &screens[left_out])
            });
            let branch = Branch {
                name: String::from(TREES),
                image: false,
                metadata: true,
                fitted: true,
            };
            node.append_branch(branch, nodes, &device);
        }
        let is_read = |at: usize| screens.beside_image.iter().any(|kept| kept[at]);
        let columns = self.setup.batches.source.encoder.columns.iter();
        let unread = columns.enumerate().filter(|(at, _)| !is_read(*at));
        unread.map(|(_, column)| column.name.clone()).collect()
    }

    /// Which columns the other branches read.
    fn screens(&self, grown: &Grown) -> Screens {
        let dealt = &grown.rows;
        let source = &self.setup.batches.source;
        let features = self.setup.batches.vectors(&dealt.rows);
        let residuals = features
            .map(|features| residuals(&features, &dealt.targets, (&dealt.folds, dealt.n_folds)));
        let n_parts = grown.models.first().map_or(0, Vec::len);
        // By part, the models in the order of the folds, one or several a member.
        let of_part = |part: usize| {
            let members = grown.models.iter();
            members.flat_map(|parts| &parts[part]).collect()
        };
        let by_part: Vec<Vec<&Boosted>> = (0..n_parts).map(of_part).collect();
        let rows = Screened {
            task: &self.setup.task,
            encoder: &source.encoder,
            metadata: &source.metadata,
            inputs: &grown.inputs,
            folded: &dealt.folded(),
            targets: &dealt.targets,
            residuals: residuals.as_deref(),
        };
        Screens::new(&rows, &by_part)
    }

    /// How many models the rows are divided among.
    fn n_tree_folds(&self) -> usize {
        match self.setup.members.are_several() {
            true => self.setup.members.n(),
            false => MEMBERS,
        }
    }

    /// Trees of a model that a network can hold.
    pub(crate) fn most_trees(&self) -> usize {
        let task = &self.setup.task;
        let in_member = self.n_tree_folds() / self.setup.members.n().max(1)
            * parts(task).1.len()
            * task.n_outputs();
        ROUNDS.min(MOST_LEAVES / (in_member << DEPTH).max(1)).max(1)
    }

    /// At most so many trees a model, one model for each fold: each member's own, or the mean of a few. `None`: there is nothing
    /// to grow, or `goes_on` said no.
    ///
    /// # Errors
    ///
    /// As [`deal`].
    pub(crate) fn grow(&self, most: usize, goes_on: &dyn Fn() -> bool) -> Result<Option<Grown>> {
        let Some(dealt) = self.deal_to_trees()? else {
            return Ok(None);
        };
        let (setup, n_members) = (&self.setup, self.setup.members.n());
        let source = &setup.batches.source;
        let inputs = inputs(&source.encoder, &source.metadata, &dealt.rows);
        let grown = grow(
            &setup.task,
            &inputs,
            &source.metadata,
            &dealt.folded(),
            &|at| dealt.targets[at].clone(),
            most,
            goes_on,
        );
        let Some(grown) =
            grown.filter(|parts| parts.iter().all(|models| models[0].knows_targets()))
        else {
            return Ok(None);
        };
        let mut models: Vec<Vec<Vec<Boosted>>> = vec![Vec::new(); n_members];
        for of_part in grown {
            match n_members {
                1 => models[0].push(of_part),
                _ => models
                    .iter_mut()
                    .zip(of_part)
                    .for_each(|(models, model)| models.push(vec![model])),
            }
        }
        Ok(Some(Grown {
            inputs,
            models,
            rows: dealt,
        }))
    }

    /// `None`: there are too few rows.
    fn deal_to_trees(&self) -> Result<Option<DealtRows>> {
        let setup = &self.setup;
        let dataset = &setup.batches.source.dataset;
        let Some(known_targets) = dataset.targets.as_ref() else {
            return Ok(None);
        };
        let every = setup.batches.train.len().div_ceil(MOST_ROWS).max(1);
        let rows: Vec<usize> = setup.batches.train.iter().copied().step_by(every).collect();
        let n_folds = self.n_tree_folds();
        if n_units(dataset, &rows) < 2 * n_folds {
            return Ok(None);
        }
        let folds = match setup.members.are_several() {
            true => setup.members.of(&rows),
            false => deal(dataset, &rows, n_folds, setup.config.train.seed)?,
        };
        let target_of = |&row: &usize| targets(&setup.task, known_targets, row, [1.0; 2]);
        Ok(Some(DealtRows {
            targets: rows.iter().map(target_of).collect(),
            weights: dataset.weights_of(&rows),
            rows,
            folds,
            n_folds,
        }))
    }
}

impl DealtRows {
    fn folded(&self) -> Folded<'_> {
        Folded {
            rows: &self.rows,
            folds: &self.folds,
            n_folds: self.n_folds,
            weights: self.weights.as_deref(),
        }
    }
}

/// 1 for each number that a network is given of these columns, else 0.
fn numbers_of(encoder: &Encoder, kept: &[bool]) -> Vec<f32> {
    let mut numbers = vec![0.0; encoder.d_dense()];
    let embeddings = encoder.embeddings();
    let mut of_codes = vec![Vec::new(); embeddings.len()];
    for (span, &kept) in encoder.spans().into_iter().zip(kept) {
        let factor = f32::from(u8::from(kept));
        numbers[span.dense].fill(factor);
        for place in span.codes {
            of_codes[place] = vec![factor; embeddings[place].width];
        }
    }
    numbers
        .into_iter()
        .chain(of_codes.into_iter().flatten())
        .collect()
}

/// A layer of the sum of these models, each of which has outputs of its own (of two classes the second) and is the mean of
/// several, each of the first `most` trees; and the values of its parameters.
fn to_layer(
    inputs: &[TreeInput],
    parts: &[Vec<Boosted>],
    n_outputs: usize,
    most: usize,
) -> (Trees, [Vec<f32>; 4]) {
    let (mut columns, mut thresholds, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    let n_own: usize = parts.iter().map(|models| models[0].base.len()).sum();
    // Of two classes, the first one's logit is 0.
    let mut first = n_outputs - n_own;
    let mut base = vec![0.0; first];
    for models in parts {
        let share = (models.len() as f64).recip();
        let own = models[0].base.len();
        base.extend((0..own).map(|at| {
            let sum: f64 = models.iter().map(|model| model.base[at]).sum();
            (share * sum) as f32
        }));
        for (model, tree) in models
            .iter()
            .flat_map(|model| model.trees.iter().take(most).map(move |tree| (model, tree)))
        {
            // Questions that are always answered no: a shallower tree's leaves are the first of a deeper one.
            let padding = DEPTH - tree.questions.len();
            for _ in 0..padding {
                columns.push(0.0);
                thresholds.push(f32::MAX);
            }
            for &(at, border) in &tree.questions {
                columns.push(at as f32);
                thresholds.push(threshold(&model.features[at], border));
            }
            let mut padded = vec![0.0_f32; n_outputs << DEPTH];
            for (leaf, values) in tree.leaves.chunks_exact(own).enumerate() {
                for (at, value) in values.iter().enumerate() {
                    padded[leaf * n_outputs + first + at] = (share * value) as f32;
                }
            }
            leaves.extend(padded);
        }
        first += own;
    }
    if columns.is_empty() {
        // Nothing was worth a question: one tree without an opinion.
        columns = vec![0.0; DEPTH];
        thresholds = vec![f32::MAX; DEPTH];
        leaves = vec![0.0; n_outputs << DEPTH];
    }
    let features = &parts[0][0].features;
    let inputs = inputs
        .iter()
        .zip(features)
        .map(|(&input, feature)| match input {
            TreeInput::Flagged { slot, flag, .. } => TreeInput::Flagged {
                slot,
                flag,
                missing: feature.missing.max(f32::MIN),
            },
            other => other,
        });
    let layer = Trees {
        inputs: inputs.collect(),
        trees: columns.len() / DEPTH,
        depth: DEPTH,
        n_outputs,
    };
    (layer, [columns, thresholds, leaves, base])
}

/// What a value must be above. Below every number stands what is missing.
fn threshold(feature: &Feature, border: u8) -> f32 {
    feature.borders[usize::from(border)].max(f32::MIN)
}
