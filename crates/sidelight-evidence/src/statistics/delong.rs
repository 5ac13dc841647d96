//! Whether two AUROCs of the same rows differ.

use serde::{Deserialize, Serialize};

use super::distribution::normal_two_sided;

/// Two AUROCs and their difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// Of the first scores.
    pub auroc_a: f64,
    /// Of the second scores.
    pub auroc_b: f64,
    /// Variance of the first.
    pub variance_a: f64,
    /// Variance of the second.
    pub variance_b: f64,
    /// Covariance of the two AUROCs.
    pub covariance: f64,
    /// `(a - b) / sd(a - b)`; 0 where both rank alike.
    pub z: f64,
    /// Two-sided p value.
    pub p: f64,
}

/// DeLong's test of two correlated AUROCs, rows being independent; where they are in groups use
/// [`cluster_bootstrap`](super::bootstrap::cluster_bootstrap). `None` with fewer than two
/// positives or two negatives.
///
/// # Source
///
/// DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two or more correlated
/// receiver operating characteristic curves: a nonparametric approach", Biometrics 44(3);
/// computed by mid-ranks in O(n log n): Sun & Xu 2014, "Fast Implementation of DeLong's
/// Algorithm for Comparing the Areas Under Correlated Receiver Operating Characteristic Curves",
/// IEEE Signal Processing Letters 21(11).
pub fn delong(positive: &[bool], scores_a: &[f64], scores_b: &[f64]) -> Option<DeLong> {
    let a = Components::new(positive, scores_a)?;
    let b = Components::new(positive, scores_b)?;
    let (m, n) = (a.positives.len() as f64, a.negatives.len() as f64);
    let between = |a: &Components, b: &Components| {
        covariance(&a.positives, &b.positives) / m + covariance(&a.negatives, &b.negatives) / n
    };
    let (variance_a, variance_b, covariance) = (between(&a, &a), between(&b, &b), between(&a, &b));
    let variance = variance_a + variance_b - 2.0 * covariance;
    let difference = a.auroc - b.auroc;
    // Two rankings that are alike leave a variance of 0, or what rounding makes of it.
    let z = if difference.abs() < 1e-12 {
        0.0
    } else {
        difference / variance.max(0.0).sqrt()
    };
    Some(DeLong {
        auroc_a: a.auroc,
        auroc_b: b.auroc,
        variance_a,
        variance_b,
        covariance,
        z,
        p: normal_two_sided(z),
    })
}

/// What each positive and each negative contributes to an AUROC.
struct Components {
    auroc: f64,
    /// Per positive, the share of negatives below it.
    positives: Vec<f64>,
    /// Per negative, the share of positives above it.
    negatives: Vec<f64>,
}

impl Components {
    fn new(positive: &[bool], scores: &[f64]) -> Option<Self> {
        let of = |wanted: bool| -> Vec<f64> {
            positive
                .iter()
                .zip(scores)
                .filter(|(is, _)| **is == wanted)
                .map(|(_, score)| *score)
                .collect()
        };
        let (ours, theirs) = (of(true), of(false));
        let (m, n) = (ours.len(), theirs.len());
        if m < 2 || n < 2 {
            return None;
        }
        let all: Vec<f64> = ours.iter().chain(&theirs).copied().collect();
        let among_all = midranks(&all);
        let (among_ours, among_theirs) = (midranks(&ours), midranks(&theirs));
        let positives: Vec<f64> = (0..m)
            .map(|i| (among_all[i] - among_ours[i]) / n as f64)
            .collect();
        let negatives: Vec<f64> = (0..n)
            .map(|j| 1.0 - (among_all[m + j] - among_theirs[j]) / m as f64)
            .collect();
        let auroc = positives.iter().sum::<f64>() / m as f64;
        Some(Self {
            auroc,
            positives,
            negatives,
        })
    }
}

/// Ranks from 1, equal numbers sharing the mean of theirs.
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let ties = order[start..]
            .iter()
            .take_while(|&&i| values[i] == values[order[start]])
            .count()
            .max(1);
        for &i in &order[start..start + ties] {
            ranks[i] = start as f64 + (ties as f64 + 1.0) / 2.0;
        }
        start += ties;
    }
    ranks
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - mean_a) * (b - mean_b))
        .sum::<f64>()
        / (n - 1.0)
}
