"""Weights from modules of timm and torchvision."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from . import _native
from .errors import WeightsError

#: Features may differ by so much of the largest.
TOLERANCE = 1e-3
#: Pixels a side that a network without a size of its own is tried with.
SIDE = 64


class Weights:
    """A backbone with its weights: what `backbone=` takes."""

    def __init__(self, backbone: str, path: str | os.PathLike, *, _kept: Any = None) -> None:
        self.backbone = backbone
        self.path = Path(os.fspath(path)).absolute()
        # The folder goes with the last who knows it.
        self._kept = _kept

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Weights({self.backbone!r}, {str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and (self.backbone, self.path) == (other.backbone, other.path)

    def __hash__(self) -> int:
        return hash((self.backbone, self.path))

    def __deepcopy__(self, memo: dict) -> Weights:
        # A value, and its file is one.
        return self

    def __reduce__(self) -> tuple:
        return (Weights, (self.backbone, self.path))


def from_timm(module: Any, *, out: str | os.PathLike | None = None) -> Weights:
    """The weights of a module of timm or torchvision, or of the name of a timm model, for `backbone=` of `train`, `compare` and
    `features`.

    Its `state_dict` is written as safetensors: to `out`, a file or a folder, else into a temporary folder that is gone with
    the result. (What is to be resumed by another process needs `out`.) Which backbone it is its keys say; that it computes the
    same is tried. Raises `WeightsError` where it is none of those here, or timm is asked for and missing.
    """
    if isinstance(module, str):
        module = _created(module)
    if not callable(getattr(module, "state_dict", None)):
        raise WeightsError(f"a {type(module).__name__} is no module", "give a module of timm or torchvision, or the name of a timm model")
    kept = tempfile.TemporaryDirectory(prefix="sidelight-")
    file = Path(kept.name) / "weights.safetensors"
    _native.write_weights(file, _tensors(module))
    backbone = _native.backbone_of(file)
    if backbone is None:
        known = ", ".join(name for name, *_ in _native.backbones())
        raise WeightsError(f"{_called(module)} has the layers of no backbone here", f"there are: {known}")
    _check(module, backbone, file)
    _warn_of_pixels(module, backbone)
    if out is None:
        place = file.with_name(f"{backbone}.safetensors")
        file.rename(place)
        return Weights(backbone, place, _kept=kept)
    place = Path(os.fspath(out))
    if place.suffix != ".safetensors":
        place.mkdir(parents=True, exist_ok=True)
        place = place / f"{backbone}.safetensors"
    if place.exists() and place.read_bytes() != file.read_bytes():
        raise WeightsError(f"{place} is there already, with other weights", "choose another `out`, or remove it first", file=str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)
    return Weights(backbone, place)


def _created(name: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise WeightsError("timm is not installed", "pip install timm, or give a module of torchvision") from error
    try:
        return timm.create_model(name, pretrained=True)
    except Exception as error:  # noqa: BLE001 - of no such model, no network, no such file: many kinds
        hint = "a name as timm.list_models(pretrained=True) has them; without a network, create the module from a file and give that"
        raise WeightsError(f"timm cannot load `{name}`: {error}", hint) from error


def _tensors(module: Any) -> list[tuple[str, list[int], bytes]]:
    """Its numbers; counts, which are whole, are left out."""
    found = []
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            values = tensor.detach().cpu().float().contiguous().numpy()
            found.append((key, list(values.shape), values.astype("<f4").tobytes()))
    if not found:
        raise WeightsError(f"{_called(module)} has no weights")
    return found


def _called(module: Any) -> str:
    """Its class, and what timm calls it."""
    name = _of_pretraining(module).get("architecture")
    return f"a {type(module).__name__} (`{name}`)" if name else f"a {type(module).__name__}"


def _of_pretraining(module: Any) -> dict[str, Any]:
    found = getattr(module, "pretrained_cfg", None)
    return found if isinstance(found, dict) else {}


def _check(module: Any, backbone: str, file: Path) -> None:
    """Tries whether it computes what the backbone of these keys does: padding, activations and constants are in no key."""
    import torch

    size = _size(module)
    images = np.random.default_rng(0).standard_normal((2, 3, size, size), dtype=np.float32)
    with torch.no_grad():
        theirs = pooled(copy.deepcopy(module).cpu().float().eval(), torch.from_numpy(images))
    if theirs is None:
        return
    found = _native.backbone_features(backbone, str(file), images.astype("<f4").tobytes(), size)
    ours = np.frombuffer(found, "<f4").reshape(len(images), -1)
    theirs = theirs.numpy()
    far = np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())) if ours.shape == theirs.shape else np.inf
    # Not a number is no agreement.
    if not far <= TOLERANCE:
        raise WeightsError(
            f"{_called(module)} has the layers of `{backbone}`, and computes something else: features differ by {far:.2g}",
            "variants with other padding or activations have the same names of layers: of EfficientNet-Lite take timm's `tf_efficientnet_lite0` and its like, of all others the plain one",
        )


def _size(module: Any) -> int:
    """The side of the images that it takes, where it takes no other."""
    size = getattr(getattr(module, "patch_embed", None), "img_size", None) or getattr(module, "image_size", None) or SIDE
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def pooled(module: Any, images: Any) -> Any:
    """What a module of timm or torchvision says of images before its classifier, pooled, `[n, features]`; `None`: not known."""
    if hasattr(module, "forward_features"):
        found = module.forward_features(images)
    elif hasattr(module, "features"):
        found = module.features(images)
    else:
        top = next((name for name in ("fc", "heads") if hasattr(module, name)), None)
        if top is None:
            return None
        import torch

        setattr(module, top, torch.nn.Identity())
        found = module(images)
    if isinstance(found, dict):
        # As DINOv2's own code has it.
        return found.get("x_norm_clstoken")
    return {4: lambda: found.mean((2, 3)), 3: lambda: found[:, 0], 2: lambda: found}[found.dim()]()


def _warn_of_pixels(module: Any, backbone: str) -> None:
    """Says where its weights were trained with other pixels than the backbone here gets."""
    told = _of_pretraining(module)
    _, mean, sd, _ = next(known for known in _native.backbones() if known[0] == backbone)
    for what, found, own in (("mean", told.get("mean"), mean), ("standard deviation", told.get("std"), sd)):
        if found is not None and not np.allclose(found, own, atol=1e-3):
            warnings.warn(
                f"{_called(module)} was trained with pixels of {what} {list(found)}; `{backbone}` gets them with {[round(x, 3) for x in own]}",
                stacklevel=3,
            )
