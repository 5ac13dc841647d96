"""Layers to put into a network: each is the table that `[[model.edit]]` would hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Layer:
    """A layer that is described and not yet made. `Layer("layer_norm", features=64)` is any kind that `sidelight` knows."""

    def __init__(self, kind: str, children: Mapping[str, Layer] | None = None, **fields: Any) -> None:
        self.spec: dict[str, Any] = {"kind": kind, **fields}
        if children:
            self.spec["children"] = [{"name": name, **child.spec} for name, child in children.items()]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.spec.items() if name != "kind")
        return f"Layer({self.spec['kind']!r}, {fields})" if fields else f"Layer({self.spec['kind']!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and self.spec == other.spec

    __hash__ = None  # type: ignore[assignment]


def Linear(out_features: int, *, bias: bool = True, zeros: bool = False) -> Layer:
    """A matrix product; widths that come in are inferred. `zeros`: it starts as zeros and not as torch's."""
    layer = Layer("linear", out_features=out_features, bias=bias)
    if zeros:
        layer.spec["start"] = "zeros"
    return layer


def Conv2d(out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1, bias: bool = True) -> Layer:
    """A convolution over the two axes of a map."""
    return Layer("conv2d", out_channels=out_channels, kernel=kernel, stride=stride, padding=padding, groups=groups, bias=bias)


def BatchNorm() -> Layer:
    """Normalisation over the batch, of maps or features."""
    return Layer("batch_norm")


def Dropout(p: float) -> Layer:
    """Random zeros while training."""
    return Layer("dropout", p=p)


def ReLU() -> Layer:
    """The larger of x and 0."""
    return Layer("relu")


def GELU() -> Layer:
    """x · Φ(x)."""
    return Layer("gelu")


def SiLU() -> Layer:
    """x · σ(x)."""
    return Layer("silu")


def Flatten() -> Layer:
    """A map, or tokens, as features."""
    return Layer("flatten")


def Identity() -> Layer:
    """The input as it is."""
    return Layer("identity")


def Metadata() -> Layer:
    """The row's metadata as features."""
    return Layer("metadata")


def Sequential(*layers: Layer, **named: Layer) -> Layer:
    """Layers one after another, named `0`, `1`, …, or as they are given."""
    return Layer("sequential", {**{str(i): layer for i, layer in enumerate(layers)}, **named})


def Concat(**branches: Layer) -> Layer:
    """Each branch on the same input, their features side by side."""
    return Layer("concat", branches)
