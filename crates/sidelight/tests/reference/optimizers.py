"""Writes optimizers.json: five steps of AdamW and SGD from PyTorch, with clipping and a moving momentum.

    python optimizers.py > optimizers.json
"""

import json

import torch

CASES = []
for method, decay, clip in [
    ({"kind": "adamw", "beta2": 0.99, "epsilon": 1e-5}, 0.1, 0.0),
    ({"kind": "adamw", "beta2": 0.999, "epsilon": 1e-8}, 0.01, 1.0),
    ({"kind": "sgd"}, 0.1, 0.0),
    ({"kind": "sgd"}, 0.01, 1.0),
]:
    torch.manual_seed(1)
    weight = torch.randn(3, 4, dtype=torch.float64).float().double().requires_grad_()
    bias = torch.randn(3, dtype=torch.float64).float().double().requires_grad_()
    case = {"method": method, "weight_decay": decay, "clip": clip,
            "weight": weight.flatten().tolist(), "bias": bias.tolist(), "steps": []}
    groups = [{"params": [weight], "weight_decay": decay}, {"params": [bias], "weight_decay": 0.0}]
    if method["kind"] == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=1.0, eps=method["epsilon"])
    else:
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    for step in range(5):
        rate, momentum = 1e-2 * (step + 1), 0.95 - 0.02 * step
        for group, share in zip(optimizer.param_groups, (1.0, 0.5)):
            group["lr"] = rate * share
            if method["kind"] == "adamw":
                group["betas"] = (momentum, method["beta2"])
            else:
                group["momentum"] = momentum
        weight.grad = torch.randn(3, 4, dtype=torch.float64).float().double()
        bias.grad = torch.randn(3, dtype=torch.float64).float().double()
        entry = {"rate": rate, "momentum": momentum,
                 "weight_gradient": weight.grad.flatten().tolist(), "bias_gradient": bias.grad.tolist()}
        norm = torch.sqrt((weight.grad ** 2).sum() + (bias.grad ** 2).sum())
        entry["norm"] = norm.item()
        if clip and norm > clip:
            weight.grad *= clip / norm
            bias.grad *= clip / norm
        optimizer.step()
        entry["weight"], entry["bias"] = weight.flatten().tolist(), bias.tolist()
        case["steps"].append(entry)
    CASES.append(case)
print(json.dumps(CASES))
