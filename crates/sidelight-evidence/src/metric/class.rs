//! Right and wrong classes: shares, and the surprise at the truth.

/// The class of the largest probability of each row, `[row][class]`; the first of equals.
pub fn most_probable(probabilities: &[f64], n_classes: usize) -> Vec<usize> {
    let rows = probabilities.chunks_exact(n_classes.max(1));
    rows.map(|row| {
        (1..row.len()).fold(
            0,
            |best, class| if row[class] > row[best] { class } else { best },
        )
    })
    .collect()
}

/// Share of rows whose class is right; `None` without rows.
pub fn accuracy(truth: &[usize], predicted: &[usize]) -> Option<f64> {
    let right = truth
        .iter()
        .zip(predicted)
        .filter(|(truth, predicted)| truth == predicted)
        .count();
    (!truth.is_empty()).then(|| right as f64 / truth.len() as f64)
}

/// Rows by `[true class][predicted class]`.
pub fn confusion(truth: &[usize], predicted: &[usize], n_classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; n_classes]; n_classes];
    truth
        .iter()
        .zip(predicted)
        .for_each(|(&truth, &predicted)| counts[truth][predicted] += 1);
    counts
}

/// How well one class is told from the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Rows that are of this class.
    pub n: usize,
    /// Share of them that is found; `None` where there are none.
    pub recall: Option<f64>,
    /// Share of rows predicted as it that is right; `None` where there are none.
    pub precision: Option<f64>,
    /// Harmonic mean of both, `2 TP / (2 TP + FP + FN)`; `None` where the class is neither there nor predicted.
    pub f1: Option<f64>,
}

impl ClassScore {
    fn new(found: usize, missed: usize, false_alarms: usize) -> Self {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            n: found + missed,
            recall: share(found, found + missed),
            precision: share(found, found + false_alarms),
            f1: share(2 * found, 2 * found + missed + false_alarms),
        }
    }
}

/// Recall, precision and F1 of each class of a confusion matrix.
pub fn per_class(confusion: &[Vec<usize>]) -> Vec<ClassScore> {
    let score = |class: usize| {
        let found = confusion[class][class];
        let of_class: usize = confusion[class].iter().sum();
        let predicted: usize = confusion.iter().map(|row| row[class]).sum();
        ClassScore::new(found, of_class - found, predicted - found)
    };
    (0..confusion.len()).map(score).collect()
}

/// Mean recall of the classes that occur; `None` without rows.
///
/// # Source
///
/// Brodersen, Ong, Stephan & Buhmann 2010, "The balanced accuracy and its posterior distribution", ICPR.
pub fn balanced_accuracy(confusion: &[Vec<usize>]) -> Option<f64> {
    super::value::mean(
        &per_class(confusion)
            .iter()
            .filter_map(|score| score.recall)
            .collect::<Vec<_>>(),
    )
}

/// Mean F1 of the classes that occur or are predicted; `None` without rows.
pub fn macro_f1(confusion: &[Vec<usize>]) -> Option<f64> {
    super::value::mean(
        &per_class(confusion)
            .iter()
            .filter_map(|score| score.f1)
            .collect::<Vec<_>>(),
    )
}

/// Mean of `-ln p(true class)` in nats, `[row][class]` probabilities kept within
/// `[ε, 1 - ε]`, ε = 2⁻⁵² as in scikit-learn; `None` without rows.
pub fn log_loss(truth: &[usize], probabilities: &[f64], n_classes: usize) -> Option<f64> {
    let rows = truth
        .iter()
        .zip(probabilities.chunks_exact(n_classes.max(1)));
    super::value::mean(
        &rows
            .map(|(&class, row)| surprise(row[class]))
            .collect::<Vec<_>>(),
    )
}

/// `-ln p`, with p kept within [ε, 1 - ε].
pub fn surprise(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Recall, precision and F1 of a label, present where its probability is at least `threshold`.
pub fn binary_score(truth: &[bool], probabilities: &[f64], threshold: f64) -> ClassScore {
    let count = |is: bool, said: bool| {
        truth
            .iter()
            .zip(probabilities)
            .filter(|(truth, p)| **truth == is && (**p >= threshold) == said)
            .count()
    };
    ClassScore::new(count(true, true), count(true, false), count(false, true))
}

/// Share of known label cells that are right at `threshold`; `None` without cells.
pub fn hamming_accuracy(truth: &[bool], probabilities: &[f64], threshold: f64) -> Option<f64> {
    let right = truth
        .iter()
        .zip(probabilities)
        .filter(|(truth, p)| (**p >= threshold) == **truth)
        .count();
    (!truth.is_empty()).then(|| right as f64 / truth.len() as f64)
}

/// Mean surprise at label cells in nats; `None` without cells.
pub fn binary_log_loss(truth: &[bool], probabilities: &[f64]) -> Option<f64> {
    let cells = truth.iter().zip(probabilities);
    super::value::mean(
        &cells
            .map(|(&truth, &p)| surprise(if truth { p } else { 1.0 - p }))
            .collect::<Vec<_>>(),
    )
}
