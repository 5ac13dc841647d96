"""Logits of torchvision's networks, for `network::tests`.

    python torch_backbones.py [WEIGHTS_FOLDER]

Weights come from a formula that the Rust test repeats (`fill`), so that none are stored; where WEIGHTS_FOLDER holds
the real ones of MobileNetV2 and EfficientNet-Lite0, their logits with them are written as well (the latter's network is
the package `efficientnet_lite_pytorch` 0.1.0). Images come from a formula too (`images`).
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


def fill(network, ours=lambda name: name):
    """`ours` gives our name of a tensor, where it is not torch's."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            name = ours(name)
            if name is None or name.endswith("num_batches_tracked"):
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


def with_formula(make, size, ours=lambda name: name):
    network = make()
    fill(network, ours)
    network.eval()
    with torch.no_grad():
        return {"size": size, "logits": rounded(network(images(4, 3, size)))}


def vit_name(name):
    """torchvision's name of a vision transformer's tensor as ours, timm's."""
    if name == "class_token":
        return "tokens.cls_token"
    if name == "encoder.pos_embedding":
        return "tokens.pos_embed"
    for theirs, our in [("conv_proj", "patch_embed.proj"), ("encoder.ln", "norm"), ("heads.head", "head"),
                        ("encoder.layers.encoder_layer_", "blocks."), ("ln_1", "norm1"), ("ln_2", "norm2"),
                        ("self_attention.in_proj_", "attn.qkv."), ("self_attention.out_proj", "attn.proj"),
                        ("mlp.0", "mlp.fc1"), ("mlp.3", "mlp.fc2")]:
        name = name.replace(theirs, our)
    return name


class Block(torch.nn.Module):
    """A block of DINOv2: a transformer's with a factor per channel after each half."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = torch.nn.LayerNorm(width, eps=1e-6)
        self.attn = torch.nn.ModuleDict({"qkv": torch.nn.Linear(width, 3 * width), "proj": torch.nn.Linear(width, width)})
        self.ls1 = torch.nn.ParameterDict({"gamma": torch.ones(width)})
        self.norm2 = torch.nn.LayerNorm(width, eps=1e-6)
        self.mlp = torch.nn.ModuleDict({"fc1": torch.nn.Linear(width, 4 * width), "fc2": torch.nn.Linear(4 * width, width)})
        self.ls2 = torch.nn.ParameterDict({"gamma": torch.ones(width)})
        self.heads = heads

    def forward(self, x):
        q, k, v = self.attn["qkv"](self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.attn["proj"](y) * self.ls1["gamma"]
        y = self.mlp["fc2"](torch.nn.functional.gelu(self.mlp["fc1"](self.norm2(x))))
        return x + y * self.ls2["gamma"]


class Dinov2(torch.nn.Module):
    """DINOv2's ViT-S/14 (the keys of dinov2_vits14_pretrain.pth) for images of one size, with a classifier."""

    def __init__(self, size, n_classes, width=384, heads=6, patch=14):
        super().__init__()
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, 1 + (size // patch) ** 2, width))
        self.patch_embed = torch.nn.ModuleDict({"proj": torch.nn.Conv2d(3, width, patch, patch)})
        self.blocks = torch.nn.ModuleList([Block(width, heads) for _ in range(12)])
        self.norm = torch.nn.LayerNorm(width, eps=1e-6)
        self.head = torch.nn.Linear(width, n_classes)

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def top_level(name):
    """The two keys that stand at the top of the file."""
    return f"tokens.{name}" if name in ("cls_token", "pos_embed") else name


def resampled_positions():
    """A 3x3 grid of positions, two wide, made 5x5 as DINOv2 and timm do it (without their antialiasing, of no effect here)."""
    values = torch.from_numpy(noise("positions", 10 * 2).astype(numpy.float32)).reshape(1, 10, 2)
    grid = values[:, 1:].reshape(1, 3, 3, 2).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, size=(5, 5), mode="bicubic", align_corners=False)
    return rounded(torch.cat([values[:, :1], grid.permute(0, 2, 3, 1).reshape(1, 25, 2)], 1))


def efficientnet_lite0(weights=None):
    """From the package `efficientnet_lite_pytorch` 0.1.0, where it is installed."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if weights:
        network.load_state_dict(torch.load(weights))
    return network


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
        "mobilenet_v3_small": with_formula(lambda: models.mobilenet_v3_small(num_classes=n), 64),
        "mobilenet_v3_large": with_formula(lambda: models.mobilenet_v3_large(num_classes=n), 64),
        "efficientnet_b0": with_formula(lambda: models.efficientnet_b0(num_classes=n), 64),
        "convnext_tiny": with_formula(lambda: models.convnext_tiny(num_classes=n), 64),
        "vit_s16": with_formula(
            lambda: models.VisionTransformer(48, 16, 12, 6, 384, 1536, num_classes=n), 48, vit_name
        ),
        "dinov2_s14": with_formula(lambda: Dinov2(42, n), 42, top_level),
        "resampled positions": resampled_positions(),
        "small_training_step": small_training_step(),
    }
    if len(sys.argv) > 1:
        network = models.mobilenet_v2()
        network.load_state_dict(torch.load(pathlib.Path(sys.argv[1]) / "mobilenet_v2-b0353104.pth"))
        network.eval()
        with torch.no_grad():
            expected["mobilenet_v2 real"] = {"size": 96, "logits": rounded(network(images(4, 3, 96)))}
            network = efficientnet_lite0(pathlib.Path(sys.argv[1]) / "efficientnet-lite0-57934424.pth").eval()
            expected["efficientnet_lite0 real"] = {"size": 96, "logits": rounded(network(images(4, 3, 96)))}
    (HERE / "torch_backbones.json").write_text(json.dumps(expected, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
