//! Losses of classes and labels: the formulas are at [`Loss`](super::Loss).

use burn::tensor::activation::{log_sigmoid, log_softmax, sigmoid};
use burn::tensor::{Int, Tensor, TensorData};

use super::Terms;

/// # Shapes
///
/// - `logits`: `[batch, classes]`; `target` (the class's index) and `mask`: `[batch, 1]`
pub(super) fn cross_entropy(
    logits: Tensor<2>,
    target: Tensor<2>,
    mask: Tensor<2>,
    class_weights: &[f32],
    smoothing: f32,
    focus: f32,
) -> Terms {
    let [batch, n_classes] = logits.dims();
    let index: Tensor<2, Int> = target.int();
    let log_p = log_softmax(logits, 1); // [batch, classes]
    let log_p_true = log_p.clone().gather(1, index.clone()); // [batch, 1]
    let per_class = (!class_weights.is_empty()).then(|| {
        assert_eq!(class_weights.len(), n_classes, "one weight a class");
        Tensor::<2>::from_data(
            TensorData::new(class_weights.to_vec(), [1, n_classes]),
            &log_p.device(),
        )
        .expand([batch, n_classes])
    });
    let weights = match &per_class {
        Some(per_class) => mask.clone() * per_class.clone().gather(1, index),
        None => mask.clone(),
    };
    let mut losses = log_p_true.clone().neg() * weights.clone();
    if focus > 0.0 {
        losses = losses * one_minus(log_p_true.exp(), focus);
    }
    if smoothing > 0.0 {
        let spread = match per_class {
            Some(per_class) => log_p * per_class,
            None => log_p,
        };
        let smooth = spread.sum_dim(1).neg() * mask * (smoothing / n_classes as f32);
        losses = losses * (1.0 - smoothing) + smooth;
    }
    Terms { losses, weights }
}

/// # Shapes
///
/// - all `[batch, labels]`
pub(super) fn binary_cross_entropy(
    logits: Tensor<2>,
    target: Tensor<2>,
    mask: Tensor<2>,
    positive_weights: &[f32],
    focus: f32,
) -> Terms {
    let [batch, n_labels] = logits.dims();
    // Both through ln σ: |x| would have no gradient at the 0 that a fresh head puts out.
    let mut positive_part = log_sigmoid(logits.clone()).neg() * target.clone();
    let mut negative_part = log_sigmoid(logits.clone().neg()).neg() * (target.neg() + 1.0);
    if !positive_weights.is_empty() {
        assert_eq!(positive_weights.len(), n_labels, "one weight a label");
        let weights = TensorData::new(positive_weights.to_vec(), [1, n_labels]);
        positive_part = positive_part
            * Tensor::<2>::from_data(weights, &logits.device()).expand([batch, n_labels]);
    }
    if focus > 0.0 {
        let p = sigmoid(logits);
        positive_part = positive_part * one_minus(p.clone(), focus);
        negative_part = negative_part * one_minus(p.neg() + 1.0, focus);
    }
    Terms {
        losses: (positive_part + negative_part) * mask.clone(),
        weights: mask,
    }
}

/// `(1 − p)^γ`; rounding must not make the base negative, nor 0, where a power below 1 has an infinite derivative.
fn one_minus(p: Tensor<2>, focus: f32) -> Tensor<2> {
    let base = (p.neg() + 1.0).clamp_min(f32::MIN_POSITIVE);
    base.powf_scalar(focus)
}
