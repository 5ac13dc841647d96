"""Logits of torchvision's networks, for `network::tests`.

    python torch_backbones.py [WEIGHTS_FOLDER]

Weights come from a formula that the Rust test repeats (`fill`), so that none are stored; where WEIGHTS_FOLDER holds
the real ones of MobileNetV2, its logits with them are written as well. Images come from a formula too (`images`).
Written with torch 2.15, torchvision 0.29.
"""

import json
import pathlib
import sys

import numpy
import torch
import torchvision

HERE = pathlib.Path(__file__).parent


def fnv1a(name):
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def noise(name, n):
    """Numbers in [-1, 1) from a hash of name and position (Murmur3's finaliser)."""
    with numpy.errstate(over="ignore"):
        h = numpy.arange(n, dtype=numpy.uint32) * numpy.uint32(0x9E3779B9) + numpy.uint32(fnv1a(name))
        h ^= h >> numpy.uint32(16)
        h *= numpy.uint32(0x85EBCA6B)
        h ^= h >> numpy.uint32(13)
        h *= numpy.uint32(0xC2B2AE35)
        h ^= h >> numpy.uint32(16)
    return h.astype(numpy.float64) / 2.0**31 - 1.0


def fill(network):
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            u = noise(name, tensor.numel())
            if name.endswith("running_var"):
                values = 1.0 + 0.5 * numpy.abs(u)
            elif tensor.ndim >= 2:
                fan_in = tensor.numel() // tensor.shape[0]
                values = u * numpy.sqrt(3.0 / fan_in)
            elif name.endswith("weight"):
                values = 1.0 + 0.1 * u
            else:
                values = 0.1 * u
            tensor.copy_(torch.from_numpy(values.astype(numpy.float32)).reshape(tensor.shape))


def images(n, channels, size):
    """n smooth images, already normalised."""
    b, c, y, x = numpy.meshgrid(*[numpy.arange(k) for k in (n, channels, size, size)], indexing="ij")
    values = numpy.sin(0.11 * (b + 1) * x + c) * numpy.cos(0.07 * (c + 1) * y - b) + 0.3 * numpy.sin(0.9 * x + 0.7 * y * (b + 1))
    return torch.from_numpy(values.astype(numpy.float32))


def rounded(tensor):
    return [float(f"{value:.7g}") for value in tensor.detach().flatten().tolist()]


def with_formula(make, size):
    network = make()
    fill(network)
    network.eval()
    with torch.no_grad():
        return {"size": size, "logits": rounded(network(images(4, 3, size)))}


def small_training_step():
    """Forward and gradients of a small network while training, dropout left out."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(3, 2, 1),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=True),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU6(),
        torch.nn.Conv2d(8, 12, 1, bias=False),
        torch.nn.Hardswish(),
        torch.nn.AvgPool2d(2, 2),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 10),
        torch.nn.BatchNorm1d(10),
        torch.nn.GELU(),
        torch.nn.LayerNorm(10),
        torch.nn.Linear(10, 5),
    )
    fill(network)
    network.train()
    output = network(images(4, 3, 24))
    (output**2).mean().backward()
    return {
        "output": rounded(output),
        "gradients": {name: rounded(parameter.grad) for name, parameter in network.named_parameters()},
        "running": {name: rounded(value) for name, value in network.state_dict().items() if "running" in name},
    }


def main():
    models = torchvision.models
    n = 10
    expected = {
        "resnet18": with_formula(lambda: models.resnet18(num_classes=n), 64),
        "resnet34": with_formula(lambda: models.resnet34(num_classes=n), 40),
        "resnet50": with_formula(lambda: models.resnet50(num_classes=n), 40),
        "resnet101": with_formula(lambda: models.resnet101(num_classes=n), 33),
        "mobilenet_v2": with_formula(lambda: models.mobilenet_v2(num_classes=n), 64),
        "small_training_step": small_training_step(),
    }
    if len(sys.argv) > 1:
        network = models.mobilenet_v2()
        network.load_state_dict(torch.load(pathlib.Path(sys.argv[1]) / "mobilenet_v2-b0353104.pth"))
        network.eval()
        with torch.no_grad():
            expected["mobilenet_v2 real"] = {"size": 96, "logits": rounded(network(images(4, 3, 96)))}
    (HERE / "torch_backbones.json").write_text(json.dumps(expected, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
