//! Whether a probability of 0.8 is right eight times in ten, and how to make it so.

use serde::{Deserialize, Serialize};

/// Bins of a reliability diagram, and of [`ece`].
pub const BINS: usize = 15;

/// One bar of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Rows in it.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of them that is right.
    pub accuracy: f64,
}

/// Rows by confidence, in `n_bins` equally wide bins `(k/n, (k+1)/n]` (0 itself in the first); empty bins have n = 0.
/// Row `i` counts `weights[i]` times in the means (once without weights); what counts 0 is in no bin.
pub fn reliability(
    confidence: &[f64],
    correct: &[bool],
    weights: Option<&[f64]>,
    n_bins: usize,
) -> Vec<Bin> {
    let mut bins = vec![
        Bin {
            n: 0,
            confidence: 0.0,
            accuracy: 0.0
        };
        n_bins
    ];
    let mut totals = vec![0.0; n_bins];
    for (i, (&confidence, &correct)) in confidence.iter().zip(correct).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[i]);
        if weight == 0.0 {
            continue;
        }
        let k = bin_of(confidence, n_bins);
        bins[k].n += 1;
        bins[k].confidence += weight * confidence;
        bins[k].accuracy += weight * f64::from(u8::from(correct));
        totals[k] += weight;
    }
    for (bin, total) in bins.iter_mut().zip(totals).filter(|(bin, _)| bin.n > 0) {
        bin.confidence /= total;
        bin.accuracy /= total;
    }
    bins
}

/// Expected calibration error: the mean distance of confidence and accuracy over bins, weighted by their rows,
/// entry `i` counting `weights[i]` times (once without weights); `None` without rows. For labels, `confidence` is the
/// probability of presence and `correct` the presence.
///
/// # Source
///
/// Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks",
/// arXiv:1706.04599, eq. 3, with their 15 bins.
pub fn ece(
    confidence: &[f64],
    correct: &[bool],
    weights: Option<&[f64]>,
    n_bins: usize,
) -> Option<f64> {
    let mut gaps = vec![0.0; n_bins];
    let mut total = 0.0;
    for (i, (&confidence, &correct)) in confidence.iter().zip(correct).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[i]);
        // A row that counts for nothing does so even if it is not a number.
        if weight == 0.0 {
            continue;
        }
        gaps[bin_of(confidence, n_bins)] += weight * (confidence - f64::from(u8::from(correct)));
        total += weight;
    }
    (total > 0.0).then(|| gaps.iter().map(|gap| gap.abs()).sum::<f64>() / total)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is clamped; what is no number is in the first bin"
)]
fn bin_of(confidence: f64, n_bins: usize) -> usize {
    ((confidence * n_bins as f64).ceil() as usize).clamp(1, n_bins) - 1
}

/// The temperature by which logits are divided so that the log loss is least: above 1 the model
/// was too sure. Between 0.01 and 100; 1 without rows. Fit it on rows that are not scored.
///
/// `probabilities` is `[row][class]`; their logarithms serve as logits. Row `i` counts `weights[i]` times, once without weights.
///
/// # Source
///
/// Guo et al. 2017 (see [`ece`]), section 4.2. The loss is convex in 1/T, so bisection of its
/// slope finds the minimum to machine precision.
pub fn fit_temperature(
    truth: &[usize],
    weights: Option<&[f64]>,
    probabilities: &[f64],
    n_classes: usize,
) -> f64 {
    let logits: Vec<f64> = probabilities
        .iter()
        .map(|p| p.max(f64::MIN_POSITIVE).ln())
        .collect();
    temperature_of_logits(truth, weights, &logits, n_classes, Prior::default())
}

/// [`fit_temperature`] for label cells: the logit of a cell is `ln p - ln(1 - p)`.
pub fn fit_binary_temperature(
    truth: &[bool],
    weights: Option<&[f64]>,
    probabilities: &[f64],
) -> f64 {
    let logits: Vec<f64> = probabilities.iter().map(|&p| logit(p)).collect();
    temperature_of_label_logits(truth, weights, &logits, Prior::default())
}

/// What is believed of a temperature before a row is seen; by default nothing.
///
/// A few rows that are all predicted rightly would ask for a temperature of nearly 0, and probabilities of 0 and 1; one
/// mistake among new rows would then cost more than all the others gain.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prior {
    /// It is pulled towards 1: the loss has the term pull/2 (1/T − 1)².
    pub pull: f64,
    /// Beside the rows that were seen, so many more of each class were predicted rightly, and as many wrongly: a row of a
    /// class with n rows is that class with the probability (n + unseen) / (n + 2 unseen), and the others share the rest.
    ///
    /// # Source
    ///
    /// Platt 1999, "Probabilistic outputs for support vector machines", section 2.2 (there of two classes, and 1).
    pub unseen: f64,
}

impl Prior {
    /// Of a model's own temperature, which may have to be told from two dozen rows.
    pub const OF_A_MODEL: Self = Self {
        pull: 1.0,
        unseen: 1.0,
    };

    /// How probable it is that a row is of its own class, of which `n` rows were seen.
    fn certainty(self, n: f64) -> f64 {
        match self.unseen > 0.0 {
            true => (n + self.unseen) / (n + 2.0 * self.unseen),
            false => 1.0,
        }
    }
}

/// As [`fit_temperature`], of logits, `[row][class]`, given a prior: it minimises the sum of the rows' cross-entropies at
/// temperature T, each times its weight, with what the [`Prior`] adds.
pub fn temperature_of_logits(
    truth: &[usize],
    weights: Option<&[f64]>,
    logits: &[f64],
    n_classes: usize,
    prior: Prior,
) -> f64 {
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    let mut seen = vec![0.0; n_classes];
    for (i, &class) in truth.iter().enumerate() {
        seen[class] += weight(i);
    }
    let n_others = n_classes.saturating_sub(1).max(1) as f64;
    let certainty: Vec<f64> = seen.into_iter().map(|n| prior.certainty(n)).collect();
    let rows = || truth.iter().zip(logits.chunks_exact(n_classes.max(1)));
    // The mean logit where classes are as probable as they are to become.
    let target = |(&class, row): (&usize, &[f64])| match certainty[class] {
        1.0 => row[class],
        own => own * row[class] + (1.0 - own) / n_others * (row.iter().sum::<f64>() - row[class]),
    };
    let targets: Vec<f64> = rows().map(target).collect();
    let slope = |inverse: f64| -> f64 {
        rows()
            .zip(&targets)
            .enumerate()
            .map(|(i, ((_, row), target))| {
                let scaled: Vec<f64> = row.iter().map(|logit| inverse * logit).collect();
                let tempered = softmax(&scaled);
                let expected: f64 = tempered.iter().zip(row).map(|(p, logit)| p * logit).sum();
                weight(i) * (expected - target)
            })
            .sum()
    };
    bisect_temperature(truth.is_empty(), |inverse| {
        slope(inverse) + prior.pull * (inverse - 1.0)
    })
}

/// As [`temperature_of_logits`], of label cells, one logit each.
pub fn temperature_of_label_logits(
    truth: &[bool],
    weights: Option<&[f64]>,
    logits: &[f64],
    prior: Prior,
) -> f64 {
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    let mut seen = [0.0; 2];
    for (i, &truth) in truth.iter().enumerate() {
        seen[usize::from(truth)] += weight(i);
    }
    let [absent, present] = seen.map(|n| prior.certainty(n));
    let present = [1.0 - absent, present];
    let slope = |inverse: f64| -> f64 {
        let cells = truth.iter().zip(logits).enumerate();
        cells
            .map(|(i, (&truth, z))| {
                weight(i) * (z * (sigmoid(inverse * z) - present[usize::from(truth)]))
            })
            .sum()
    };
    bisect_temperature(truth.is_empty(), |inverse| {
        slope(inverse) + prior.pull * (inverse - 1.0)
    })
}

fn bisect_temperature(nothing: bool, slope: impl Fn(f64) -> f64) -> f64 {
    if nothing {
        return 1.0;
    }
    let (mut low, mut high) = (0.01f64.ln(), 100f64.ln());
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if slope(middle.exp()) < 0.0 {
            low = middle
        } else {
            high = middle
        }
    }
    (-f64::midpoint(low, high)).exp()
}

fn logit(p: f64) -> f64 {
    // An f32 sigmoid can be exactly 0 or 1.
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    p.ln() - (-p).ln_1p()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}
