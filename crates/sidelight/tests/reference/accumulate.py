"""Writes accumulate.json: loss and gradient of one large batch from PyTorch, and how it is divided.

    python accumulate.py > accumulate.json
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
rows = torch.randn(7, 5).float().double()
weight = (torch.randn(3, 5) * 0.5).float().double().requires_grad_()
index = torch.tensor([0, 2, 1, 1, 2, 0, 2])
known = torch.tensor([1.0, 1, 0, 1, 1, 1, 1])
class_weights = torch.tensor([0.5, 1.0, 4.0])
keep = known.bool()
loss = F.cross_entropy((rows @ weight.T)[keep], index[keep], weight=class_weights)
loss.backward()
print(json.dumps({
    "loss": {"kind": "cross_entropy", "class_weights": class_weights.tolist(), "smoothing": 0.0, "focus": 0.0},
    "batches": [3, 3, 1], "rows": rows.tolist(), "weight": weight.flatten().tolist(),
    "target": index.tolist(), "mask": known.tolist(),
    "mean": loss.item(), "gradient": weight.grad.flatten().tolist(),
}))
