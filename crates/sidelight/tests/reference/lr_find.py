"""Writes lr_find.json: fastai's valley suggestion on three loss curves.

    python lr_find.py > lr_find.json
"""

import json
import math

import torch
from fastai.callback.schedule import valley

CASES = []
RATES = [1e-7 * (10 / 1e-7) ** (i / 100) for i in range(100)]
torch.manual_seed(0)
for name, curve in [
    ("falls, then runs away", lambda i: 2.0 - 1.2 / (1 + math.exp(-(i - 55) / 6)) + math.exp((i - 92) / 3)),
    ("falls early", lambda i: 1.0 - 0.5 / (1 + math.exp(-(i - 25) / 4)) + math.exp((i - 70) / 6)),
    ("with noise", lambda i: 2.0 - 1.0 / (1 + math.exp(-(i - 60) / 5)) + 0.02 * torch.randn(1).item()),
]:
    losses = [curve(i) for i in range(100)]
    n = next((i for i, loss in enumerate(losses) if loss > 4 * min(losses[:i + 1])), 100)
    rates, losses = RATES[:n], losses[:n]
    suggestion = valley(torch.tensor(rates[10:-5]), torch.tensor(losses[10:-5]), 100)
    suggestion = suggestion[0] if isinstance(suggestion, tuple) else suggestion
    CASES.append({"name": name, "rates": rates, "losses": losses, "suggestion": float(suggestion)})
print(json.dumps(CASES))
