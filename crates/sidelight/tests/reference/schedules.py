"""Writes schedules.json: learning rates and momenta from fastai and PyTorch.

    python schedules.py > schedules.json
"""

import json

import torch
from fastai.callback.schedule import combined_cos


def fastai(steps, peak, pct_start, div, div_final=1e5, moms=(0.95, 0.85, 0.95)):
    """`Learner.fit_one_cycle`: the schedulers are evaluated at iteration / iterations before each batch."""
    rate = combined_cos(pct_start, peak / div, peak, peak / div_final)
    momentum = combined_cos(pct_start, *moms)
    at = [i / steps for i in range(steps)]
    return [float(rate(p)) for p in at], [float(momentum(p)) for p in at]


def pair(rate, momentum):
    return {"rate": rate, "momentum": momentum}


def torch_one_cycle(steps, peak):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak, total_steps=steps, pct_start=(0.25 * (steps - 1) + 1) / steps, anneal_strategy="cos",
        base_momentum=0.85, max_momentum=0.95, div_factor=25, final_div_factor=1e5 / 25)
    rate, momentum = [], []
    for i in range(steps):
        rate.append(optimizer.param_groups[0]["lr"])
        momentum.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if i + 1 < steps:
            schedule.step()
    return rate, momentum


# fine_tune(3, base_lr=2e-3, freeze_epochs=1), 8 steps an epoch
frozen = fastai(8, 2e-3, 0.99, 25.0)
free = fastai(24, 1e-3, 0.3, 5.0)
print(json.dumps({
    "fastai_one_cycle": pair(*fastai(40, 2e-3, 0.25, 25.0)),
    "fastai_fine_tune": pair(frozen[0] + free[0], frozen[1] + free[1]),
    "torch_one_cycle": pair(*torch_one_cycle(41, 2e-3)),
}))
