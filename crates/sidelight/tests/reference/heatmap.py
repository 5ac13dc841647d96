"""Writes heatmap.json: the divergence of heatmaps from Gaussians, and its gradient, from PyTorch.

    python heatmap.py > heatmap.json
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
BATCH, N, HEIGHT, WIDTH = 3, 2, 4, 5
maps = (torch.randn(BATCH, N, HEIGHT, WIDTH) * 2).float().double().requires_grad_()
target = (torch.rand(BATCH, N, 2) * 2 - 1).float().double()
target[1, 0] = torch.tensor([1.75, -0.25])  # outside the image
mask = torch.ones(BATCH, N, 2)
mask[0, 1] = 0.0
mask[2] = 0.5  # a row that counts half
share = torch.tensor([1.0, 1.0, 0.0])  # and has no image

x = (2 * torch.arange(WIDTH) + 1) / WIDTH - 1
y = (2 * torch.arange(HEIGHT) + 1) / HEIGHT - 1
off_x = (x[None, None, None, :] - target[..., 0, None, None]) * WIDTH / 2
off_y = (y[None, None, :, None] - target[..., 1, None, None]) * HEIGHT / 2
aim = F.log_softmax((-0.5 * (off_x**2 + off_y**2)).flatten(2), 2)
found = F.log_softmax(maps.flatten(2), 2)
of_points = F.kl_div(found, aim, reduction="none", log_target=True).sum(2)
weight = mask[..., 0]
loss = (of_points * weight * share[:, None]).sum() / weight.sum()
loss.backward()
flat = lambda tensor: tensor.flatten().tolist()
print(json.dumps({"maps": flat(maps.detach()), "target": flat(target), "mask": flat(mask), "share": flat(share), "loss": loss.item(), "gradient": flat(maps.grad)}))
