"""Reference values for `metric.rs`, from scikit-learn 1.9 and scipy 1.17.

Run: python metrics.py > metrics.json
"""
import json

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, huber, log_softmax, logit, softmax
from sklearn import metrics as m

rng = np.random.default_rng(3)
# Of its own, so that weights change no other number here.
weights_of = np.random.default_rng(4)


def row_weights(n):
    """What rows count: whole numbers, some of them 0, and others."""
    weights = weights_of.integers(0, 4, n) * weights_of.choice([1.0, 1.0, 0.37], n)
    return np.maximum(weights, [1.0] + [0.0] * (n - 1))


def round32(x):
    """Probabilities are f32 in the library: use numbers that an f32 holds."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def class_case(n, k, ties):
    truth = rng.integers(0, k, n)
    logits = rng.normal(0, 2, (n, k)) + 1.5 * np.eye(k)[truth]
    p = softmax(logits, axis=1)
    if ties:
        p = np.round(p, 1) + 0.02
        p /= p.sum(1, keepdims=True)
    p = round32(p)
    predicted = p.argmax(1)
    recall = m.recall_score(truth, predicted, average=None, labels=range(k), zero_division=0)
    one_hot = np.eye(k)[truth]
    per_class_auroc = [m.roc_auc_score(one_hot[:, c], p[:, c]) for c in range(k)]
    per_class_ap = [m.average_precision_score(one_hot[:, c], p[:, c]) for c in range(k)]
    nll = lambda t: -log_softmax(np.log(p) / t, axis=1)[np.arange(n), truth].mean()
    best = minimize_scalar(lambda u: nll(np.exp(u)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
    confidence, correct = p.max(1), predicted == truth
    bins = np.clip(np.ceil(confidence * 15).astype(int), 1, 15)
    ece = sum(abs(confidence[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    w = row_weights(n)
    w_auroc = [m.roc_auc_score(one_hot[:, c], p[:, c], sample_weight=w) for c in range(k)]
    w_ap = [m.average_precision_score(one_hot[:, c], p[:, c], sample_weight=w) for c in range(k)]
    w_ece = sum(abs((w * (confidence - correct))[bins == b].sum()) for b in set(bins)) / w.sum()
    w_nll = lambda t: -np.average(log_softmax(np.log(p) / t, axis=1)[np.arange(n), truth], weights=w)
    w_best = minimize_scalar(lambda u: w_nll(np.exp(u)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
    return {
        "weights": w.tolist(),
        "weighted": {
            "accuracy": m.accuracy_score(truth, predicted, sample_weight=w),
            "balanced_accuracy": m.balanced_accuracy_score(truth, predicted, sample_weight=w),
            "auroc": w_auroc[1] if k == 2 else float(np.mean(w_auroc)),
            "log_loss": m.log_loss(truth, p, labels=range(k), sample_weight=w),
            "macro_f1": m.f1_score(truth, predicted, average="macro", sample_weight=w),
            "average_precision": w_ap[1] if k == 2 else float(np.mean(w_ap)),
            "brier": m.brier_score_loss(truth, p[:, 1] if k == 2 else p, labels=list(range(k)), sample_weight=w),
            "ece": float(w_ece),
        },
        "weighted_temperature": float(np.exp(w_best.x)),
        "truth": truth.tolist(),
        "probabilities": p.ravel().tolist(),
        "n_classes": k,
        "values": {
            "accuracy": m.accuracy_score(truth, predicted),
            "balanced_accuracy": m.balanced_accuracy_score(truth, predicted),
            "auroc": per_class_auroc[1] if k == 2 else float(np.mean(per_class_auroc)),
            "log_loss": m.log_loss(truth, p, labels=range(k)),  # warns: f32 rows sum to 1 only nearly
            "macro_f1": m.f1_score(truth, predicted, average="macro"),
            "average_precision": per_class_ap[1] if k == 2 else float(np.mean(per_class_ap)),
            "brier": m.brier_score_loss(truth, p[:, 1] if k == 2 else p, labels=list(range(k))),
            "ece": float(ece),
        },
        "recall": recall.tolist(),
        "precision": m.precision_score(truth, predicted, average=None, labels=range(k), zero_division=0).tolist(),
        "f1": m.f1_score(truth, predicted, average=None, labels=range(k), zero_division=0).tolist(),
        "confusion": m.confusion_matrix(truth, predicted, labels=range(k)).tolist(),
        "temperature": float(np.exp(best.x)),
    }


def labels_case(n, k):
    truth = rng.random((n, k)) < [0.5, 0.2, 0.1]
    p = round32(expit(rng.normal(0, 1.5, (n, k)) + 2 * truth - 1))
    known = rng.random((n, k)) < 0.9
    said = p >= 0.5
    column = lambda f, c: f(truth[known[:, c], c], p[known[:, c], c])
    flat, flat_p, flat_said = truth[known], p[known], said[known]
    nll = lambda t: m.log_loss(flat, expit(logit(flat_p) / t))
    best = minimize_scalar(lambda u: nll(np.exp(u)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
    w = row_weights(n)
    flat_w = np.repeat(w[:, None], k, 1)[known]
    w_column = lambda f, c: f(truth[known[:, c], c], p[known[:, c], c], sample_weight=w[known[:, c]])
    w_f1 = lambda c: m.f1_score(truth[known[:, c], c], said[known[:, c], c], sample_weight=w[known[:, c]])
    w_nll = lambda t: m.log_loss(flat, expit(logit(flat_p) / t), sample_weight=flat_w)
    w_best = minimize_scalar(lambda u: w_nll(np.exp(u)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
    return {
        "weights": w.tolist(),
        "weighted": {
            "auroc": float(np.mean([w_column(m.roc_auc_score, c) for c in range(k)])),
            "micro_auroc": m.roc_auc_score(flat, flat_p, sample_weight=flat_w),
            "map": float(np.mean([w_column(m.average_precision_score, c) for c in range(k)])),
            "macro_f1": float(np.mean([w_f1(c) for c in range(k)])),
            "micro_f1": m.f1_score(flat, flat_said, sample_weight=flat_w),
            "hamming_accuracy": 1 - m.hamming_loss(flat, flat_said, sample_weight=flat_w),
            "log_loss": m.log_loss(flat, flat_p, sample_weight=flat_w),
            "brier": m.brier_score_loss(flat, flat_p, sample_weight=flat_w),
        },
        "weighted_temperature": float(np.exp(w_best.x)),
        "present": [bool(t) if u else None for t, u in zip(truth.ravel(), known.ravel())],
        "probabilities": p.ravel().tolist(),
        "n_labels": k,
        "values": {
            "auroc": float(np.mean([column(m.roc_auc_score, c) for c in range(k)])),
            "micro_auroc": m.roc_auc_score(flat, flat_p),
            "map": float(np.mean([column(m.average_precision_score, c) for c in range(k)])),
            "macro_f1": float(np.mean([m.f1_score(truth[known[:, c], c], said[known[:, c], c]) for c in range(k)])),
            "micro_f1": m.f1_score(flat, flat_said),
            "hamming_accuracy": 1 - m.hamming_loss(flat, flat_said),
            "log_loss": m.log_loss(flat, flat_p),
            "brier": m.brier_score_loss(flat, flat_p),
        },
        "temperature": float(np.exp(best.x)),
    }


def value_case(n):
    truth = rng.normal(50, 20, (n, 2)) * [1, 1000]
    predicted = truth + rng.normal(0, 10, (n, 2)) * [1, 1000]
    over = lambda f: float(f(truth, predicted))
    first = lambda f: float(f(truth[:, 0], predicted[:, 0]))
    sd, bends = [20.0, 20000.0], [0.5, 0.7]
    w = row_weights(n)
    w_first = lambda f: float(f(truth[:, 0], predicted[:, 0], sample_weight=w))
    return {
        "weights": w.tolist(),
        "weighted": {
            "scaled_mae": float(m.mean_absolute_error(truth / sd, predicted / sd, sample_weight=w)),
            "r2": float(m.r2_score(truth, predicted, sample_weight=w)),
            "mape": float(m.mean_absolute_percentage_error(truth, predicted, sample_weight=w)),
        },
        "weighted_first_column": {
            "mae": w_first(m.mean_absolute_error),
            "rmse": w_first(m.root_mean_squared_error),
            "r2": w_first(m.r2_score),
            "median_ae": w_first(m.median_absolute_error),
            "mape": w_first(m.mean_absolute_percentage_error),
        },
        "weighted_huber": float(np.average(np.mean(huber(bends, (truth - predicted) / sd), axis=1), weights=w)),
        "truth": truth.ravel().tolist(),
        "predicted": predicted.ravel().tolist(),
        "sd": sd,
        "values": {
            "scaled_mae": float(m.mean_absolute_error(truth / sd, predicted / sd)),
            "r2": over(m.r2_score),
            "mape": over(m.mean_absolute_percentage_error),
        },
        "first_column": {
            "mae": first(m.mean_absolute_error),
            "rmse": first(m.root_mean_squared_error),
            "r2": first(m.r2_score),
            "median_ae": first(m.median_absolute_error),
            "mape": first(m.mean_absolute_percentage_error),
        },
        "bends": bends,
        "huber": float(np.mean(huber(bends, (truth - predicted) / sd))),
    }


print(
    json.dumps(
        {
            "class": [class_case(60, 2, False), class_case(80, 2, True), class_case(90, 4, False)],
            "classes": labels_case(70, 3),
            "value": value_case(40),
        }
    )
)
