"""Layers by path: look at weights, set them, make edits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import _html, _native
from .errors import NetworkError
from .nn import Layer


class Network:
    """The layers of a network. `net["head.6.weight"]` is an array; assigning one sets it. Edits are made all or none."""

    def __init__(self, native: "_native.Network") -> None:
        self._native = native

    def __getitem__(self, path: str) -> "np.ndarray | Part":
        shapes = {name: shape for name, shape, _ in self._native.parameters()}
        if path in shapes:
            return np.frombuffer(self._native.get(path), dtype="<f4").reshape(shapes[path])
        inside = [name for name in shapes if name.startswith(f"{path}.")]
        layers = [layer for layer, *_ in self._native.layers()]
        if not inside and path not in layers:
            raise NetworkError(f"no layer or parameter `{path}`", f"`print(network)` lists them; near it: {_near(path, [*layers, *shapes])}")
        return Part(self, path)

    def __setitem__(self, path: str, values: Any) -> None:
        shape = dict((name, shape) for name, shape, _ in self._native.parameters()).get(path)
        array = np.asarray(values, dtype="<f4")
        if shape is not None and list(array.shape) != list(shape):
            raise NetworkError(f"`{path}` has the shape {list(shape)}, not {list(array.shape)}")
        self._native.set(path, np.ascontiguousarray(array).tobytes())

    def __iter__(self) -> Iterator[str]:
        return (name for name, *_ in self._native.parameters())

    def __len__(self) -> int:
        return len(self._native.parameters())

    def __contains__(self, path: object) -> bool:
        return path in list(self)

    @property
    def layers(self) -> list[tuple[str, str, str, str]]:
        """Path, kind, what comes in and what goes out of every layer."""
        return self._native.layers()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Every parameter and buffer by its path, as torch names them."""
        return {name: self[name] for name in self}  # type: ignore[misc]

    def replace(self, path: str, layer: Layer, seed: int = 0) -> list[str]:
        """Another layer in the place of the one at `path`; returns the paths of new weights, which start as `seed` draws them."""
        return self.edit([{"op": "replace", "path": path, "layer": layer.spec}], seed)

    def insert_before(self, path: str, name: str, layer: Layer, seed: int = 0) -> list[str]:
        """A new layer before the one at `path`."""
        return self.edit([{"op": "insert_before", "path": path, "name": name, "layer": layer.spec}], seed)

    def insert_after(self, path: str, name: str, layer: Layer, seed: int = 0) -> list[str]:
        """A new layer after the one at `path`."""
        return self.edit([{"op": "insert_after", "path": path, "name": name, "layer": layer.spec}], seed)

    def remove(self, path: str) -> list[str]:
        """Without the layer at `path`."""
        return self.edit([{"op": "remove", "path": path}])

    def edit(self, edits: list[dict[str, Any]], seed: int = 0) -> list[str]:
        """Edits in order, all or none, as `[[model.edit]]` holds them: `{"op": "remove", "path": "head.1"}`."""
        return self._native.edit(json.dumps(edits), seed)

    def save(self, path: str | os.PathLike) -> None:
        """Writes all weights as safetensors: what `weights=` of `train` reads."""
        self._native.save(Path(os.fspath(path)))

    def load(self, path: str | os.PathLike) -> None:
        """Loads all weights from safetensors."""
        self._native.load(Path(os.fspath(path)))

    def __repr__(self) -> str:
        return "\n".join(f"{path or '(network)'}: {kind}, {given} -> {made}" for path, kind, given, made in self.layers)

    def _repr_html_(self) -> str:
        return _html.table(["layer", "kind", "in", "out"], [[path or "(network)", *rest] for path, *rest in self.layers])


class Part:
    """A layer of a network: `net["layer4.1.conv2"].weight`."""

    def __init__(self, network: Network, path: str) -> None:
        object.__setattr__(self, "_of", (network, path))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        network, path = self._of
        try:
            return network[f"{path}.{name}"]
        except NetworkError as error:
            raise AttributeError(str(error)) from error

    def __setattr__(self, name: str, values: Any) -> None:
        network, path = self._of
        network[f"{path}.{name}"] = values

    def __getitem__(self, name: str | int) -> Any:
        network, path = self._of
        return network[f"{path}.{name}"]

    def __repr__(self) -> str:
        network, path = self._of
        lines = [line for line in repr(network).splitlines() if line.startswith((f"{path}:", f"{path}."))]
        return "\n".join(lines)


def _near(path: str, known: list[str]) -> str:
    from difflib import get_close_matches

    return ", ".join(f"`{name}`" for name in get_close_matches(path, known, 3, 0.4)) or "nothing"
