"""Writes sampling.json: what PyTorch's WeightedRandomSampler draws with weights inverse to class frequency.

    python sampling.py > sampling.json
"""

import json

import torch
from torch.utils.data import WeightedRandomSampler

torch.manual_seed(0)
classes = [0] * 70 + [1] * 25 + [2] * 5
counts = torch.bincount(torch.tensor(classes))
weights = [1.0 / counts[c].item() for c in classes]
n = 30_000
drawn = torch.tensor(list(WeightedRandomSampler(weights, num_samples=n, replacement=True)))
print(json.dumps({
    "classes": classes, "weights": weights, "n": n,
    "share_of_class": [(torch.tensor(classes)[drawn] == c).double().mean().item() for c in range(3)],
    "share_of_last_row": (drawn == len(classes) - 1).double().mean().item(),
}))
