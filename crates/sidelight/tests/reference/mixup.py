"""Writes mixup.json: blended rows, and the loss of soft targets with its gradient, from PyTorch.

    python mixup.py > mixup.json

Zhang et al. 2018, arXiv:1710.09412: targets are blended as one-hot vectors. With class weights PyTorch divides soft
targets by the number of rows; there the reference is the authors' `mixup_criterion`, the blend of both losses.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
CASES = []


def add(name, loss, share, order, logits, target, mean):
    order = torch.tensor(order)
    rows = torch.randn(len(order), 3).float().double()
    output = logits.float().double().requires_grad_()
    value = mean(output, share, order)
    value.backward()
    CASES.append({
        "name": name, "loss": loss, "share": share, "order": order.tolist(),
        "input": rows.tolist(), "blended": (share * rows + (1 - share) * rows[order]).tolist(),
        "output": output.tolist(), "target": target.tolist(),
        "mean": value.item(), "gradient": output.grad.tolist(),
    })


index = torch.tensor([0, 3, 1, 2, 2])
one_hot = F.one_hot(index, 4).double()
weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
logits = torch.randn(5, 4) * 2
for smoothing in (0.0, 0.1):
    add(f"class, smoothing {smoothing}",
        {"kind": "cross_entropy", "class_weights": [], "smoothing": smoothing, "focus": 0.0},
        0.7, [3, 0, 4, 2, 1], logits, index.double()[:, None],
        lambda o, s, p: F.cross_entropy(o, s * one_hot + (1 - s) * one_hot[p], label_smoothing=smoothing))
add("class, weights",
    {"kind": "cross_entropy", "class_weights": weights.tolist(), "smoothing": 0.0, "focus": 0.0},
    0.9, [1, 2, 3, 4, 0], logits, index.double()[:, None],
    lambda o, s, p: s * F.cross_entropy(o, index, weight=weights) + (1 - s) * F.cross_entropy(o, index[p], weight=weights))
labels = (torch.rand(5, 4) < 0.5).double()
positive = torch.tensor([1.0, 2.0, 3.0, 0.5])
for w in (None, positive):
    add(f"classes, weights {w is not None}",
        {"kind": "binary_cross_entropy", "positive_weights": [] if w is None else w.tolist(), "focus": 0.0},
        0.6, [4, 3, 2, 1, 0], logits, labels,
        lambda o, s, p: F.binary_cross_entropy_with_logits(o, s * labels + (1 - s) * labels[p], pos_weight=w))
print(json.dumps(CASES))
