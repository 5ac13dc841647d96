//! How well a score ranks positives before negatives, whatever the threshold.

/// Area under the ROC curve: the probability that a random positive scores above a random
/// negative, ties counting half. `None` unless there are both.
///
/// # Source
///
/// Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating
/// characteristic (ROC) curve", Radiology 143(1), 29-36: the Mann-Whitney form.
///
/// # Example
///
/// ```
/// use sidelight_evidence::metric::ranking::auroc;
/// // Of four pairs, one is wrong.
/// assert_eq!(auroc(&[false, true, false, true], &[0.1, 0.4, 0.5, 0.8]), Some(0.75));
/// ```
pub fn auroc(positive: &[bool], scores: &[f64]) -> Option<f64> {
    Ranking::new(positive, scores).auroc(None)
}

/// Area under the precision-recall steps: `Σ (Rₙ - Rₙ₋₁) Pₙ` over thresholds from the highest
/// score down, equal scores being one threshold. `None` without positives.
///
/// # Source
///
/// scikit-learn's `average_precision_score`; Boyd, Eng & Page 2013, "Area under the
/// Precision-Recall Curve: Point Estimates and Confidence Intervals", ECML PKDD.
pub fn average_precision(positive: &[bool], scores: &[f64]) -> Option<f64> {
    Ranking::new(positive, scores).average_precision(None)
}

/// Scores in order, so that an AUROC of reweighted rows needs no sorting.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Row and whether it is positive, by ascending score.
    order: Vec<(usize, bool)>,
    /// Where each run of equal scores ends.
    ends: Vec<usize>,
}

impl Ranking {
    /// Sorts. NaN ranks highest, and is as high as another NaN.
    pub fn new(positive: &[bool], scores: &[f64]) -> Self {
        // NaN has a sign, which differs between processors; so has 0.
        let place = |row: usize| match scores[row].is_nan() {
            true => f64::NAN,
            false => scores[row] + 0.0,
        };
        let compare = |a: usize, b: usize| place(a).total_cmp(&place(b));
        let mut rows: Vec<usize> = (0..positive.len().min(scores.len())).collect();
        rows.sort_by(|&a, &b| compare(a, b));
        let mut ends: Vec<usize> = (1..rows.len())
            .filter(|&i| compare(rows[i], rows[i - 1]).is_ne())
            .collect();
        ends.extend(Some(rows.len()).filter(|n| *n > 0));
        Self {
            order: rows.into_iter().map(|row| (row, positive[row])).collect(),
            ends,
        }
    }

    /// Runs of equal scores, ascending.
    fn ties(&self) -> impl DoubleEndedIterator<Item = &[(usize, bool)]> {
        (0..self.ends.len()).map(|i| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            &self.order[start..self.ends[i]]
        })
    }

    /// The AUROC, each row counting `weights[row]` times (once without weights).
    /// `None` unless both positives and negatives weigh something.
    pub fn auroc(&self, weights: Option<&[f64]>) -> Option<f64> {
        let (wins, pairs) = self.wins(weights);
        (pairs > 0.0).then(|| wins / pairs)
    }

    /// The average precision, each row counting `weights[row]` times (once without weights).
    /// `None` unless positives weigh something.
    pub fn average_precision(&self, weights: Option<&[f64]>) -> Option<f64> {
        let (mut above, mut positives_above, mut area) = (0.0, 0.0, 0.0);
        for ties in self.ties().rev() {
            let mut positives = 0.0;
            for &(row, positive) in ties {
                let weight = weights.map_or(1.0, |weights| weights[row]);
                above += weight;
                positives += if positive { weight } else { 0.0 };
            }
            positives_above += positives;
            if positives > 0.0 {
                area += positives * positives_above / above;
            }
        }
        (positives_above > 0.0).then(|| area / positives_above)
    }

    /// Pairs of a positive and a negative that are in order (ties half), and all such pairs.
    pub fn wins(&self, weights: Option<&[f64]>) -> (f64, f64) {
        let (mut negatives, mut positives, mut wins) = (0.0, 0.0, 0.0);
        for ties in self.ties() {
            let (mut tied_negatives, mut tied_positives) = (0.0, 0.0);
            for &(row, positive) in ties {
                let weight = weights.map_or(1.0, |weights| weights[row]);
                if positive {
                    tied_positives += weight;
                } else {
                    tied_negatives += weight;
                }
            }
            wins += tied_positives * (negatives + tied_negatives / 2.0);
            negatives += tied_negatives;
            positives += tied_positives;
        }
        (wins, negatives * positives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(auroc(&[true, false], &[0.3, 0.3]), Some(0.5));
        assert_eq!(auroc(&[true, false], &[0.0, -0.0]), Some(0.5));
        assert_eq!(auroc(&[true, true], &[0.3, 0.4]), None);
    }

    #[test]
    fn nan_ranks_highest_whatever_its_sign_and_order() {
        for nan in [f64::NAN, -f64::NAN] {
            assert_eq!(auroc(&[true, false], &[nan, f64::INFINITY]), Some(1.0));
            assert_eq!(auroc(&[false, true], &[nan, f64::INFINITY]), Some(0.0));
            assert_eq!(auroc(&[true, false], &[nan, f64::NAN]), Some(0.5));
            assert_eq!(auroc(&[false, true], &[nan, f64::NAN]), Some(0.5));
        }
    }

    #[test]
    fn a_weight_is_a_repetition() {
        let (truth, scores) = ([true, false, true, false], [0.9, 0.5, 0.4, 0.1]);
        let ranking = Ranking::new(&truth, &scores);
        let repeated = auroc(
            &[true, true, false, true, false],
            &[0.9, 0.9, 0.5, 0.4, 0.1],
        );
        assert_eq!(ranking.auroc(Some(&[2.0, 1.0, 1.0, 1.0])), repeated);
        assert_eq!(ranking.auroc(Some(&[1.0, 0.0, 1.0, 0.0])), None);
    }

    #[test]
    fn average_precision_of_all_equal_scores_is_the_share_of_positives() {
        assert_eq!(
            average_precision(&[true, false, false, false], &[0.5; 4]),
            Some(0.25)
        );
        assert_eq!(average_precision(&[false], &[0.5]), None);
    }
}
