"""Writes ema.json: an exponential moving average as timm's ModelEmaV3 makes it.

    python ema.py > ema.json

Where timm is not installed its two rules are written out here (timm/utils/model_ema.py, `get_decay` and
`apply_update_`): `update` is called after each step with the step's number, the first being 1.
"""

import json

import torch

try:
    from timm.utils import ModelEmaV3
except ImportError:
    ModelEmaV3 = None

torch.manual_seed(0)
N_STEPS = 6


def by_hand(step, decay, warm_up):
    step = max(0, step - 1)
    if step == 0:
        return 0.0
    return max(min(1 - (1 + step) ** (-2 / 3), decay), 0.0) if warm_up else decay


cases = []
for decay, warm_up in [(0.9, False), (0.999, True), (0.5, True), (0.3, False)]:
    # A norm layer, for its running mean and variance.
    model = torch.nn.BatchNorm1d(3)
    names = ["weight", "bias", "running_mean", "running_var"]
    average = {name: model.state_dict()[name].clone() for name in names}
    timm = ModelEmaV3(model, decay=decay, use_warmup=warm_up) if ModelEmaV3 else None
    steps = []
    for step in range(1, N_STEPS + 1):
        with torch.no_grad():
            for name in names:
                getattr(model, name).copy_(torch.randn(3))
        share = 1 - by_hand(step, decay, warm_up)
        for name in names:
            average[name].lerp_(getattr(model, name).detach(), share)
        if timm:
            timm.update(model, step=step)
            for name in names:
                assert torch.equal(timm.module.state_dict()[name], average[name]), (step, name)
        steps.append({
            "network": [getattr(model, name).tolist() for name in names],
            "average": [average[name].tolist() for name in names],
        })
    cases.append({"decay": decay, "warm_up": warm_up, "steps": steps})
print(json.dumps({"names": names, "cases": cases}))
