//! Which metadata columns say anything of the target, as far as training rows can tell.
//!
//! A network of a few hundred steps learns noise beside the signal, trees hardly do (Grinsztajn et al. 2022,
//! arXiv:2207.08815, finding 2). A column is let through to a network if
//!
//! - the trees' loss over rows that they left out rises where it is permuted among them, by more than 1.5 standard errors
//!   (Breiman 2001, "Random forests", Machine Learning 45, section 10), which finds thresholds and what columns say together;
//! - or if it is correlated with the target by itself (p < 0.01, times the numbers that are tried of it: Fan & Lv 2008, "Sure
//!   independence screening", JRSS B 70), which finds columns that say so little each that no tree asks for them;
//! - or, beside an image, if it is correlated with what the image leaves of the target.
//!
//! One in twenty columns of noise comes through. Whoever leaves a fold out is told what the other folds say.

use std::ops::Range;

use rayon::prelude::*;

use super::columns::{Folded, parts, read};
use super::{Boosted, Loss};
use crate::encode::{EncodedMetadata, Encoder};
use crate::network::layer::TreeInput;
use crate::random::{named, shuffle};
use crate::statistics::distribution::normal_two_sided;
use crate::task::Task;

/// A column stays whose permutation raises the loss by more than so many standard errors.
const LEAST_RISE: f64 = 1.5;
/// A column stays whose correlation is as improbable.
const IMPROBABLE: f64 = 0.01;

/// Rows, what trees read of them, and what they are to say.
pub(crate) struct Screened<'a> {
    pub(crate) task: &'a Task,
    pub(crate) encoder: &'a Encoder,
    pub(crate) metadata: &'a EncodedMetadata,
    pub(crate) inputs: &'a [TreeInput],
    pub(crate) folded: &'a Folded<'a>,
    /// What trees learn of each row, `[row][output]`; NaN: unknown.
    pub(crate) targets: &'a [Vec<f64>],
    /// What is left of it when the image was asked, where it is to be joined with one.
    pub(crate) residuals: Option<&'a [Vec<f64>]>,
}

/// Which columns stay, `[fold][column]`, for whoever leaves out that fold; with one more at the end, for who leaves out none.
pub(crate) struct Screens {
    /// In a network of metadata alone.
    pub(crate) alone: Vec<Vec<bool>>,
    /// In a network that reads the image as well.
    pub(crate) beside_image: Vec<Vec<bool>>,
}

impl Screens {
    /// `grown`: of each part of the outputs, models that left out a fold each.
    pub(crate) fn new(rows: &Screened<'_>, grown: &[Vec<&Boosted>]) -> Self {
        let inputs_of = rows.inputs_of_columns();
        let inputs: Vec<Vec<f32>> = (rows.folded.rows.iter())
            .map(|&row| read(rows.inputs, rows.metadata, row))
            .collect();
        let rises = rows.rises(grown, &inputs, &inputs_of);
        let table = Table::new(rows, &inputs);
        let mut screens = Self {
            alone: Vec::new(),
            beside_image: Vec::new(),
        };
        for left_out in 0..=rows.folded.n_folds {
            let correlated = table.correlated(&inputs_of, left_out as u32);
            let (mut alone, mut beside_image) = (Vec::new(), Vec::new());
            for (column, [with_target, with_rest]) in correlated.into_iter().enumerate() {
                let folds = rises.iter().enumerate();
                let others = folds.filter(|(fold, _)| *fold != left_out);
                let rise = others.fold(Sum::default(), |sum, (_, of)| sum.plus(of[column]));
                let says = rise.in_errors() > LEAST_RISE || with_target;
                alone.push(says);
                beside_image.push(says || with_rest);
            }
            screens.alone.push(any_or_all(alone));
            screens.beside_image.push(any_or_all(beside_image));
        }
        screens
    }
}

/// Where nothing is found, nothing is known: all stay.
fn any_or_all(says: Vec<bool>) -> Vec<bool> {
    match says.contains(&true) {
        true => says,
        false => vec![true; says.len()],
    }
}

/// `[row][output]` as `[output][row]`.
fn by_output(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n_outputs = rows.first().map_or(0, Vec::len);
    (0..n_outputs)
        .map(|at| rows.iter().map(|row| row[at]).collect())
        .collect()
}

/// Of differences, one a row.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Sum {
    fn of(difference: f64) -> Self {
        Self {
            n: 1.0,
            sum: difference,
            squares: difference * difference,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// The mean over its standard error; 0 where all are 0.
    fn in_errors(self) -> f64 {
        let mean = self.sum / self.n.max(1.0);
        let variance = self.squares / self.n.max(1.0) - mean * mean;
        match variance > 0.0 {
            true => mean / (variance / self.n).sqrt(),
            false => 0.0,
        }
    }
}

impl Screened<'_> {
    /// The inputs that are made of each column: neighbours.
    fn inputs_of_columns(&self) -> Vec<Range<usize>> {
        let spans = self.encoder.spans();
        let is_of = |span: &crate::encode::Span, input: &TreeInput| match input {
            TreeInput::Dense { slot } | TreeInput::Flagged { slot, .. } => {
                span.dense.contains(slot)
            }
            TreeInput::Is { place, .. } => span.codes.contains(place),
        };
        spans
            .iter()
            .map(|span| {
                let mut own = (0..self.inputs.len()).filter(|&at| is_of(span, &self.inputs[at]));
                match own.next() {
                    Some(first) => first..own.next_back().unwrap_or(first) + 1,
                    None => 0..0,
                }
            })
            .collect()
    }

    /// By how much the loss over each fold rises with each column permuted: `[fold][column]`.
    fn rises(
        &self,
        grown: &[Vec<&Boosted>],
        inputs: &[Vec<f32>],
        inputs_of: &[Range<usize>],
    ) -> Vec<Vec<Sum>> {
        let (loss, parts) = parts(self.task);
        let of_fold = |fold: usize| {
            let rows: Vec<usize> = (0..self.folded.rows.len())
                .filter(|&at| self.folded.folds[at] as usize == fold)
                .collect();
            let left: Vec<Left<'_>> = (parts.iter().zip(grown))
                .map(|(part, models)| {
                    let targets = |&row: &usize| self.targets[row][part.clone()].to_vec();
                    let targets = rows.iter().map(targets).collect();
                    Left::new(
                        models[fold],
                        loss,
                        rows.iter().map(|&row| &inputs[row]),
                        targets,
                    )
                })
                .collect();
            // What a permuted column costs each row, over all parts.
            let rises = |(column, inputs): (usize, &Range<usize>)| {
                let mut from: Vec<usize> = (0..rows.len()).collect();
                let mut random = named(fold as u64, &format!("column {column}"));
                shuffle(&mut from, &mut random);
                let mut rises = vec![0.0; rows.len()];
                left.iter()
                    .for_each(|part| part.add_rises(inputs, &from, &mut rises));
                rises
            };
            let sum = |of_rows: Vec<f64>| {
                let known = of_rows.into_iter().filter(|rise| !rise.is_nan());
                known.fold(Sum::default(), |sum, rise| sum.plus(Sum::of(rise)))
            };
            inputs_of.iter().enumerate().map(rises).map(sum).collect()
        };
        (0..self.folded.n_folds)
            .into_par_iter()
            .map(of_fold)
            .collect()
    }
}

/// A model, and rows that it has not learned from, by their places.
struct Left<'a> {
    model: &'a Boosted,
    loss: Loss,
    /// `[row][feature]`
    bins: Vec<Vec<u8>>,
    targets: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
    losses: Vec<f64>,
}

impl<'a> Left<'a> {
    fn new<'r>(
        model: &'a Boosted,
        loss: Loss,
        inputs: impl Iterator<Item = &'r Vec<f32>>,
        targets: Vec<Vec<f64>>,
    ) -> Self {
        let bins: Vec<Vec<u8>> = inputs.map(|inputs| model.bins(inputs)).collect();
        let outputs: Vec<Vec<f64>> = bins.iter().map(|bins| model.outputs_of(bins)).collect();
        let losses = outputs
            .iter()
            .zip(&targets)
            .map(|(outputs, targets)| loss.of_row(outputs, targets));
        Self {
            losses: losses.collect(),
            model,
            loss,
            bins,
            targets,
            outputs,
        }
    }

    /// Adds what it costs each row that its own of these inputs are those of another.
    fn add_rises(&self, inputs: &Range<usize>, from: &[usize], rises: &mut [f64]) {
        let asks = |tree: &&super::Tree| tree.questions.iter().any(|(at, _)| inputs.contains(at));
        let trees: Vec<_> = self.model.trees.iter().filter(asks).collect();
        if trees.is_empty() {
            return;
        }
        for (row, &other) in from.iter().enumerate() {
            let (own, other) = (&self.bins[row], &self.bins[other]);
            if own[inputs.clone()] == other[inputs.clone()] {
                continue;
            }
            let mut outputs = self.outputs[row].clone();
            let mut before = vec![0.0; outputs.len()];
            for tree in &trees {
                tree.add(|at| own[at], &mut before);
                tree.add(
                    |at| {
                        if inputs.contains(&at) {
                            other[at]
                        } else {
                            own[at]
                        }
                    },
                    &mut outputs,
                );
            }
            outputs
                .iter_mut()
                .zip(before)
                .for_each(|(output, before)| *output -= before);
            rises[row] += self.loss.of_row(&outputs, &self.targets[row]) - self.losses[row];
        }
    }
}

/// Inputs and targets side by side, for correlations.
struct Table<'a> {
    folds: &'a [u32],
    /// `[input][row]`; NaN: missing.
    inputs: Vec<Vec<f64>>,
    /// The targets, and what an image leaves of them (of none: nothing), `[output][row]`; NaN: unknown.
    targets: [Vec<Vec<f64>>; 2],
}

impl<'a> Table<'a> {
    fn new(rows: &Screened<'a>, inputs: &[Vec<f32>]) -> Self {
        let residuals = rows.residuals.unwrap_or_default();
        Self {
            folds: rows.folded.folds,
            inputs: (0..rows.inputs.len())
                .map(|at| inputs.iter().map(|row| f64::from(row[at])).collect())
                .collect(),
            targets: [rows.targets, residuals].map(by_output),
        }
    }

    /// Of each column, whether one of its inputs, or that it is missing, is correlated with a target, and with what an image
    /// leaves of one, over the rows of other folds.
    fn correlated(&self, inputs_of: &[Range<usize>], left_out: u32) -> Vec<[bool; 2]> {
        let standardised = |values: &Vec<f64>| self.standardised(values, left_out);
        let targets = self.targets.each_ref();
        let targets = targets.map(|targets| targets.iter().map(standardised).collect::<Vec<_>>());
        let is_correlated = |inputs: &Range<usize>| {
            let mut tried = Vec::new();
            for input in &self.inputs[inputs.clone()] {
                tried.push(standardised(input));
                if input.iter().any(|x| x.is_nan()) {
                    let is_missing = |x: &f64| f64::from(u8::from(x.is_nan()));
                    tried.push(standardised(&input.iter().map(is_missing).collect()));
                }
            }
            targets.each_ref().map(|targets| {
                let n_tried = (tried.len() * targets.len()) as f64;
                targets.iter().any(|(target, _)| {
                    tried.iter().any(|(input, n)| {
                        let product: f64 = input.iter().zip(target).map(|(x, y)| x * y).sum();
                        normal_two_sided(product / n.sqrt()) * n_tried < IMPROBABLE
                    })
                })
            })
        };
        inputs_of.par_iter().map(is_correlated).collect()
    }

    /// Of mean 0 and variance 1 over the rows of other folds, 0 where it is unknown, left out, or always the same; and how many
    /// are known.
    fn standardised(&self, values: &[f64], left_out: u32) -> (Vec<f64>, f64) {
        let counts = |(x, &fold): (&f64, &u32)| fold != left_out && !x.is_nan();
        let known = values
            .iter()
            .zip(self.folds)
            .filter(|&(x, fold)| counts((x, fold)));
        let (n, sum, squares) = known.fold((0.0, 0.0, 0.0), |(n, sum, squares), (&x, _)| {
            (n + 1.0, sum + x, squares + x * x)
        });
        let n = f64::max(n, 1.0);
        let mean = sum / n;
        let variance = squares / n - mean * mean;
        let scale = if variance > 1e-12 {
            variance.sqrt().recip()
        } else {
            0.0
        };
        let of = |(x, fold): (&f64, &u32)| match counts((x, fold)) {
            true => (x - mean) * scale,
            false => 0.0,
        };
        (values.iter().zip(self.folds).map(of).collect(), n)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::boosting::ROUNDS;
    use crate::boosting::columns::{grow, inputs};
    use crate::config::TargetScale;
    use crate::dataset::{Metadata, MetadataColumn, MetadataValues};
    use crate::random::uniform;

    const ROWS: usize = 300;

    /// Which columns stay of these, for who leaves out each of three folds or none; the target is a number.
    fn screens(
        columns: Vec<Vec<Option<f64>>>,
        target: &[f64],
        residual: Option<&[f64]>,
    ) -> Screens {
        let column = |(at, values): (usize, Vec<Option<f64>>)| MetadataColumn {
            name: format!("c{at}"),
            values: MetadataValues::Continuous(values),
        };
        let metadata = Metadata {
            columns: columns.into_iter().enumerate().map(column).collect(),
            n_rows: ROWS,
        };
        let rows: Vec<usize> = (0..ROWS).collect();
        let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &rows).unwrap();
        let (metadata, _) = encoder.encode(&metadata).unwrap();
        let task = Task::Regression {
            columns: vec!["y".into()],
            scale: TargetScale::Linear,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[-1.0, 2.0]],
        };
        let inputs = inputs(&encoder, &metadata, &rows);
        let folds: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
        let folded = Folded {
            rows: &rows,
            folds: &folds,
            n_folds: 3,
            weights: None,
        };
        let target_of = |row: usize| vec![target[row]];
        let targets: Vec<Vec<f64>> = rows.iter().map(|&row| target_of(row)).collect();
        let residuals: Option<Vec<Vec<f64>>> =
            residual.map(|residual| residual.iter().map(|&x| vec![x]).collect());
        let grown = grow(
            &task,
            &inputs,
            &metadata,
            &folded,
            &target_of,
            ROUNDS,
            &|| true,
        );
        let rows = Screened {
            task: &task,
            encoder: &encoder,
            metadata: &metadata,
            inputs: &inputs,
            folded: &folded,
            targets: &targets,
            residuals: residuals.as_deref(),
        };
        let grown = grown.unwrap();
        let grown: Vec<Vec<&Boosted>> =
            grown.iter().map(|models| models.iter().collect()).collect();
        Screens::new(&rows, &grown)
    }

    fn noise(name: &str) -> Vec<f64> {
        let mut random = named(3, name);
        (0..ROWS).map(|_| uniform(&mut random) - 0.5).collect()
    }

    fn whole(column: &[f64]) -> Vec<Option<f64>> {
        column.iter().copied().map(Some).collect()
    }

    #[test]
    fn what_says_something_alone_or_together_or_by_its_gaps_stays_and_most_noise_goes() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(noise);
        let target: Vec<f64> = (0..ROWS)
            .map(|row| {
                let together = f64::from(u8::from((a[row] > 0.0) != (b[row] > 0.0)));
                let missing = f64::from(u8::from(d[row] > 0.3));
                together + 0.7 * c[row] + 0.5 * missing
            })
            .collect();
        let mut columns = vec![whole(&a), whole(&b), whole(&c)];
        let gaps = noise("what is behind them").into_iter().zip(&d);
        columns.push(gaps.map(|(x, &d)| (d <= 0.3).then_some(x)).collect());
        columns.extend((0..30).map(|at| whole(&noise(&format!("noise {at}")))));
        for kept in screens(columns, &target, None).alone {
            assert_eq!(kept[..4], [true; 4], "{kept:?}");
            let n_noise = kept[4..].iter().filter(|&&kept| kept).count();
            assert!(n_noise <= 6, "{n_noise} of 30");
        }
    }

    /// Whoever leaves a fold out must not know which columns fit it by chance.
    #[test]
    fn a_fold_has_no_say_in_what_stays_for_who_leaves_it_out() {
        let (a, target) = (noise("a"), noise("target"));
        let only_in = |fold: usize| {
            let x = |row: usize| if row % 3 == fold { target[row] } else { a[row] };
            (0..ROWS).map(x).collect::<Vec<f64>>()
        };
        let columns = vec![whole(&only_in(0)), whole(&target)];
        let kept = screens(columns, &target, None).alone;
        assert_eq!(kept[0], [false, true]);
        assert_eq!(kept[3], [true, true], "all rows say that it fits");
    }

    #[test]
    fn where_nothing_is_found_all_stay() {
        let columns = vec![whole(&[1.0; ROWS]), whole(&[2.0; ROWS])];
        assert_eq!(
            screens(columns, &noise("target"), None).alone,
            vec![vec![true; 2]; 4]
        );
    }

    #[test]
    fn what_the_image_leaves_has_a_say_beside_an_image() {
        let [a, b, c] = ["a", "b", "c"].map(noise);
        let columns = vec![whole(&a), whole(&b), whole(&c)];
        let Screens {
            alone,
            beside_image,
        } = screens(columns, &a, Some(&b));
        assert_eq!(alone, vec![vec![true, false, false]; 4]);
        assert_eq!(beside_image, vec![vec![true, true, false]; 4]);
    }
}
