"""Writes losses.json: losses, gradients and per-row losses from PyTorch.

    python losses.py > losses.json
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
CASES = []


def add(name, loss, output, target, mask, mean, rows):
    """`mean(output)` is the masked, weighted mean; `rows(output)` the unweighted loss of each element."""
    output = output.detach().float().double().requires_grad_()
    value = mean(output)
    value.backward()
    per_row = (rows(output) * mask).sum(1) / mask.sum(1)
    CASES.append({
        "name": name, "loss": loss,
        "output": output.tolist(), "target": target.tolist(), "mask": mask.tolist(),
        "mean": value.item(), "gradient": output.grad.tolist(),
        "rows": [None if r != r else r for r in per_row.tolist()],
    })


# one of several classes
logits = torch.randn(6, 4) * 3
logits[2] = 0.0  # what a zeroed head puts out
index = torch.tensor([0, 3, 1, 2, 2, 0])
known = torch.tensor([1.0, 1, 1, 0, 1, 1])
weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
for w in (None, weights):
    for smoothing in (0.0, 0.1):
        keep = known.bool()
        add(f"cross entropy, weights {w is not None}, smoothing {smoothing}",
            {"kind": "cross_entropy", "class_weights": [] if w is None else w.tolist(), "smoothing": smoothing, "focus": 0.0},
            logits, index.double()[:, None], known[:, None],
            lambda o: F.cross_entropy(o[keep], index[keep], weight=w, label_smoothing=smoothing),
            lambda o: F.cross_entropy(o, index, label_smoothing=smoothing, reduction="none")[:, None])


def focal(o, gamma):
    nll = F.cross_entropy(o, index, reduction="none")
    return nll * (1 - torch.exp(-nll)) ** gamma


w_true = weights[index]
add("focal over classes", {"kind": "cross_entropy", "class_weights": weights.tolist(), "smoothing": 0.0, "focus": 2.0},
    logits, index.double()[:, None], known[:, None],
    lambda o: (focal(o, 2.0) * w_true * known).sum() / (w_true * known).sum(),
    lambda o: focal(o, 2.0)[:, None])

# labels
logits = torch.randn(5, 3) * 3
logits[1, 1] = 0.0
target = (torch.rand(5, 3) > 0.5).double()
known = (torch.rand(5, 3) > 0.3).double()
known[4] = 0.0
positive = torch.tensor([1.0, 3.0, 0.25])
for w in (None, positive):
    add(f"binary, weights {w is not None}",
        {"kind": "binary_cross_entropy", "positive_weights": [] if w is None else w.tolist(), "focus": 0.0},
        logits, target, known,
        lambda o: (F.binary_cross_entropy_with_logits(o, target, pos_weight=w, reduction="none") * known).sum() / known.sum(),
        lambda o: F.binary_cross_entropy_with_logits(o, target, reduction="none"))


def binary_focal(o, gamma):  # torchvision.ops.sigmoid_focal_loss with alpha = -1
    p = torch.sigmoid(o)
    p_t = p * target + (1 - p) * (1 - target)
    return F.binary_cross_entropy_with_logits(o, target, reduction="none") * (1 - p_t) ** gamma


from torchvision.ops import sigmoid_focal_loss  # noqa: E402

assert torch.allclose(sigmoid_focal_loss(logits, target, alpha=-1, gamma=2.0), binary_focal(logits, 2.0))
add("focal over labels", {"kind": "binary_cross_entropy", "positive_weights": [], "focus": 2.0}, logits, target, known,
    lambda o: (binary_focal(o, 2.0) * known).sum() / known.sum(), lambda o: binary_focal(o, 2.0))

# distances
output = torch.randn(5, 4) * 0.4
target = torch.randn(5, 4) * 0.4
output, target = output.float().double(), target.float().double()
target[0, 0] = output[0, 0]
known = (torch.rand(5, 4) > 0.3).double()
known[0, 0] = 1.0
known[3] = 0.0


def wing(o, w, e):
    d = (o - target).abs()
    return torch.where(d < w, w * torch.log1p(d / e), d - (w - w * torch.log1p(torch.tensor(w / e))))


for name, loss, f in [
    ("squared", {"distance": "squared"}, lambda o: F.mse_loss(o, target, reduction="none")),
    ("absolute", {"distance": "absolute"}, lambda o: F.l1_loss(o, target, reduction="none")),
    ("smooth l1, beta 0.1", {"distance": "smooth_l1", "beta": 0.1}, lambda o: F.smooth_l1_loss(o, target, beta=0.1, reduction="none")),
    ("smooth l1, beta 1", {"distance": "smooth_l1", "beta": 1.0}, lambda o: F.smooth_l1_loss(o, target, beta=1.0, reduction="none")),
    ("wing", {"distance": "wing", "width": 0.25, "curvature": 0.05}, lambda o: wing(o, 0.25, 0.05)),
]:
    add(name, {"kind": "distance", "distance": loss}, output, target, known,
        lambda o: (f(o) * known).sum() / known.sum(), f)

# candidates: the most probable one, all of them, logarithms of their probabilities
n, d = 3, 4
logits = torch.randn(5, n) * 2
places = torch.randn(5, n, d) * 0.4
places[1, 2] = target[1] + 0.01
output = torch.cat([torch.zeros(5, d), places.reshape(5, n * d), F.log_softmax(logits, 1)], 1).float().double()


def mixture(o, temperature=0.02, relaxation=0.05):
    places, log_p = o[:, d:d + n * d].reshape(5, n, d), o[:, d + n * d:]
    away = F.smooth_l1_loss(places, target[:, None].expand(5, n, d), beta=0.1, reduction="none") * known[:, None]
    away = away.sum(2) / known.sum(1, keepdim=True).clamp_min(1)
    mixed = -temperature * torch.logsumexp(log_p - away / temperature, 1)
    row = (1 - relaxation) * mixed + relaxation * away.mean(1)
    return row[:, None].expand(5, d)


add("candidates", {"kind": "distance", "distance": {"distance": "smooth_l1", "beta": 0.1}}, output, target, known,
    lambda o: (mixture(o) * known).sum() / known.sum(), mixture)

print(json.dumps(CASES))
