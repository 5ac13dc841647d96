"""A network as a `torch.nn.Module`: the same layers by the same names, the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import NetworkError

#: Code of a missing category, in every embedded column.
MISSING = 0
#: Parameters that no step changes.
BUFFERS = {"running_mean", "running_var", "columns", "thresholds", "leaves", "base", "prior", "factors", "kept", "temperature"}


class Inputs:
    """What a pass may read beside the image: `dense` `[batch, d]`, `codes` `[batch, n]`, `has_image` `[batch, 1]`."""

    def __init__(self, dense: Tensor | None, codes: Tensor | None, has_image: Tensor | None) -> None:
        self.dense = dense
        self.codes = codes
        self.has_image = has_image


class Node(nn.Module):
    """A layer with those inside it."""

    def __init__(self, spec: dict[str, Any], path: str, values: Callable[[str], dict[str, tuple[np.ndarray, bool]]]) -> None:
        super().__init__()
        self.spec = {name: value for name, value in spec.items() if name not in ("children", "name")}
        self.kind: str = spec["kind"]
        self.path = path
        if self.kind not in LAYERS:
            raise NetworkError(f"`{path}` is a `{self.kind}`, which there is no torch layer for here")
        self.order: list[tuple[str, Node]] = []
        for child in spec.get("children", []):
            name = child["name"]
            node = Node(child, f"{path}.{name}" if path else name, values)
            # An attribute's name has no dot; a column's may.
            self.add_module(name.replace(".", "_"), node)
            self.order.append((name, node))
        for name, (array, trains) in values(path).items():
            tensor = torch.from_numpy(np.array(array))
            *within, leaf = name.split(".")
            holder: nn.Module = self
            for part in within:
                if not hasattr(holder, part):
                    holder.add_module(part, nn.Module())
                holder = getattr(holder, part)
            if leaf in BUFFERS:
                holder.register_buffer(leaf, tensor)
            else:
                holder.register_parameter(leaf, nn.Parameter(tensor, requires_grad=trains))

    def run(self, x: Any, inputs: Inputs) -> Any:
        return LAYERS[self.kind](self, x, inputs)

    def in_turn(self, x: Any, inputs: Inputs) -> Any:
        for _, child in self.order:
            x = child.run(x, inputs)
        return x


class TorchNetwork(nn.Module):
    """A trained network. `forward(images, dense, codes)` gives what the layers put out: logits, standardised values, points in
    [-1, 1] of the input square; `Model.batch` gives these inputs of a frame. It may be trained on, saved and exported as any
    other module; in `eval()` its numbers are those of the model."""

    def __init__(self, description: dict[str, Any], parameters: list[tuple[str, np.ndarray, bool]]) -> None:
        super().__init__()
        own: dict[str, dict[str, tuple[np.ndarray, bool]]] = {}
        paths = _paths(description["root"])
        for name, array, trains in parameters:
            # The deepest layer that it lies in: names of parameters have dots as well.
            path = name
            while path not in paths:
                path = path.rpartition(".")[0]
            own.setdefault(path, {})[name[len(path) + 1 :] if path else name] = (array, trains)
        self.root = Node(description["root"], "", lambda path: own.get(path, {}))
        self.eval()

    def forward(
        self,
        images: Tensor | None = None,
        dense: Tensor | None = None,
        codes: Tensor | None = None,
        has_image: Tensor | None = None,
    ) -> Tensor:
        """`images` `[batch, channels, size, size]`, normalised; returns `[batch, outputs]`."""
        return self.root.run(images, Inputs(dense, codes, has_image))


def _paths(spec: dict[str, Any], path: str = "") -> set[str]:
    found = {path}
    for child in spec.get("children", []):
        found |= _paths(child, f"{path}.{child['name']}" if path else child["name"])
    return found


def _conv2d(node: Node, x: Tensor, _: Inputs) -> Tensor:
    spec = node.spec
    stride, dilation, kernel = spec.get("stride", 1), spec.get("dilation", 1), spec["kernel"]
    padding = spec.get("padding", 0)
    if spec.get("same"):
        pads = []
        for side in (x.shape[3], x.shape[2]):
            needed = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
            pads += [needed // 2, needed - needed // 2]
        x, padding = F.pad(x, pads), 0
    groups = spec.get("groups", 1) or x.shape[1]
    return F.conv2d(x, node.weight, getattr(node, "bias", None), stride, padding, dilation, groups)


def _batch_norm(node: Node, x: Tensor, _: Inputs) -> Tensor:
    weight, bias = getattr(node, "weight", None), getattr(node, "bias", None)
    return F.batch_norm(x, node.running_mean, node.running_var, weight, bias, node.training, 0.1, node.spec["epsilon"])


def _layer_norm(node: Node, x: Tensor, _: Inputs) -> Tensor:
    last = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    y = F.layer_norm(last, last.shape[-1:], node.weight, node.bias, node.spec["epsilon"])
    return y.permute(0, 3, 1, 2) if x.dim() == 4 else y


def _linear(node: Node, x: Tensor, _: Inputs) -> Tensor:
    last = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    y = F.linear(last, node.weight, getattr(node, "bias", None))
    return y.permute(0, 3, 1, 2) if x.dim() == 4 else y


def _channels(control: Tensor, x: Tensor) -> Tensor:
    """A number a channel, beside a map, tokens or features."""
    return {4: lambda: control[:, :, None, None], 3: lambda: control[:, None, :], 2: lambda: control}[x.dim()]()


def _scale(node: Node, x: Tensor, _: Inputs) -> Tensor:
    return x * _channels(node.gamma.reshape(1, -1), x)


def _gate(node: Node, x: Tensor, inputs: Inputs) -> Tensor:
    gate = node.in_turn(x, inputs)
    return x * gate if gate.dim() == 4 and gate.shape[2:] == (1, 1) else x * _channels(_pooled(gate), x)


def _residual(node: Node, x: Tensor, inputs: Inputs) -> Tensor:
    y = other = x
    for name, child in node.order:
        if name == "downsample":
            other = child.run(x, inputs)
    scale = node.layer_scale.reshape(1, -1) if node.spec.get("layer_scale") else None
    for name, child in node.order:
        if name == "downsample":
            continue
        if name == node.spec.get("second_residual_at"):
            y = other = y + other
        if child.kind == "drop_path" and scale is not None:
            y, scale = y * _channels(scale, y), None
        y = child.run(y, inputs)
    if scale is not None:
        y = y * _channels(scale, y)
    y = y + other
    return F.relu(y) if node.spec.get("relu_after") else y


def _drop_path(node: Node, x: Tensor, _: Inputs) -> Tensor:
    p = node.spec["p"]
    if not node.training or p == 0:
        return x
    kept = torch.rand([x.shape[0], *[1] * (x.dim() - 1)], device=x.device) >= p
    return x * kept / (1 - p)


def _drop_image(node: Node, x: Tensor, inputs: Inputs) -> Tensor:
    return _drop_path(node, x if inputs.has_image is None else x * inputs.has_image, inputs)


def _metadata(node: Node, _: Any, inputs: Inputs) -> Tensor:
    parts = [inputs.dense] if node.spec.get("d_dense") else []
    for i, (_, table) in enumerate(node.order):
        assert inputs.codes is not None, f"`{node.path}` reads codes"
        parts.append(F.embedding(inputs.codes[:, i].long(), table.weight))
    if any(part is None for part in parts):
        raise NetworkError(f"`{node.path}` reads metadata, and `dense` is not given")
    all_of_it = torch.cat(parts, 1)  # type: ignore[arg-type]
    return all_of_it * node.kept if node.spec.get("screened") else all_of_it


def _piecewise(node: Node, x: Tensor, _: Inputs) -> Tensor:
    pieces = [(n["slot"], n["known"], low, high) for n in node.spec["numbers"] for low, high in zip(n["edges"], n["edges"][1:])]
    if not pieces:
        return x
    slots, known, low, high = zip(*pieces)
    low, high = x.new_tensor(low), x.new_tensor(high)
    risen = (x[:, list(slots)] - low) * (1 / (high - low))
    return torch.cat([x, risen.clamp(0, 1) * x[:, list(known)]], 1)


def _trees(node: Node, _: Any, inputs: Inputs) -> Tensor:
    dense, codes = inputs.dense, inputs.codes
    values = []
    for asked in node.spec["inputs"]:
        if asked["kind"] == "is":
            values.append((codes[:, asked["place"]] == asked["code"]).to(node.base.dtype))  # type: ignore[index]
        elif asked["kind"] == "flagged":
            slot, flag = dense[:, asked["slot"]], dense[:, asked["flag"]]  # type: ignore[index]
            values.append(torch.where(flag == 0, slot.new_tensor(asked["missing"]), slot))
        else:
            values.append(dense[:, asked["slot"]])  # type: ignore[index]
    trees, depth = node.spec["trees"], node.spec["depth"]
    if trees == 0 or not values:
        batch = next(x for x in (dense, codes) if x is not None).shape[0]
        return node.base.expand(batch, -1)
    asked_of = torch.stack(values, 1)[:, node.columns.round().long()]  # [batch, trees, depth]
    answers = (asked_of > node.thresholds).long()
    bits = 2 ** torch.arange(depth - 1, -1, -1, device=answers.device)
    leaf = (answers * bits).sum(2) + torch.arange(trees, device=answers.device) * 2**depth
    return node.leaves[leaf].sum(1) + node.base


def _stack(node: Node, x: Any, inputs: Inputs) -> Tensor:
    spec = node.spec
    members = max(spec["members"], 1)
    children = [child for _, child in node.order]
    means = []
    for b in range(len(spec["branches"])):
        outputs = [child.run(x, inputs) for child in children[b * members : (b + 1) * members]]
        means.append(torch.stack(outputs).sum(0) / members)
    has_image = inputs.has_image if inputs.has_image is not None else means[0].new_ones(len(means[0]), 1)
    has_metadata = torch.ones_like(has_image)
    if any(branch["metadata"] for branch in spec["branches"]):
        differs = torch.zeros_like(has_image)
        if inputs.dense is not None and len(spec["missing"]) == inputs.dense.shape[1] > 0:
            differs = differs + (inputs.dense - inputs.dense.new_tensor(spec["missing"])).abs().sum(1, keepdim=True)
        if inputs.codes is not None and inputs.codes.shape[1]:
            differs = differs + (inputs.codes - MISSING).abs().to(differs.dtype).sum(1, keepdim=True)
        has_metadata = (differs > 0).to(has_image.dtype)
    cases = [(True, True), (False, True), (True, False)]
    joined, chosen = [], []
    for case, (image, metadata) in enumerate(cases):
        usable = [float((image or not branch["image"]) and (metadata or not branch["metadata"])) for branch in spec["branches"]]
        factors = node.factors[case] * node.factors.new_tensor(usable)
        joined.append(node.prior + sum((mean - node.prior) * factor for mean, factor in zip(means, factors)))
        chosen.append((has_image if image else 1 - has_image) * (has_metadata if metadata else 1 - has_metadata))
    none = 1 - sum(chosen)
    if spec.get("vote") is not None:
        joined[0] = _vote(spec["vote"], joined[2], joined[1])
    return sum((y * is_case for y, is_case in zip(joined, chosen)), node.prior * none)


def _ensemble(node: Node, x: Any, inputs: Inputs) -> Tensor:
    parts: list[list[Tensor]] = [[] for _ in node.spec["outputs"]]
    for member, (_, child) in zip(node.spec["members"], node.order, strict=True):
        dense, codes = inputs.dense, inputs.codes
        own = Inputs(
            dense[:, member["dense"]] if dense is not None else None,
            codes[:, member["codes"]] if codes is not None else None,
            inputs.has_image,
        )
        y, start = child.run(x, own), 0
        for at, part in enumerate(node.spec["outputs"]):
            places = member.get("places", []) if at == 0 else []
            width = len(places) or part["width"]
            terms = _terms(part["by"], y[:, start : start + width])
            start += width
            if places:
                # Of a class that it has not met it knows nothing.
                terms = terms.new_zeros(len(y), part["width"]).index_add(1, torch.tensor(places, device=y.device), terms)
            if at == 0 and member.get("scale"):
                terms = terms * terms.new_tensor(member["scale"]) + terms.new_tensor(member["offset"])
            parts[at].append(terms)
    means = [torch.stack(terms).mean(0) for terms in parts]
    return torch.cat([_outputs(part["by"], mean) for part, mean in zip(node.spec["outputs"], means, strict=True)], 1)


def _terms(by: str, outputs: Tensor) -> Tensor:
    """Outputs in the terms that a mean is taken in: probabilities, values, errors."""
    match by:
        case "classes":
            return outputs.softmax(1)
        case "labels":
            return outputs.sigmoid()
        case "logarithms":
            return outputs.exp()
    return outputs


def _outputs(by: str, terms: Tensor) -> Tensor:
    """The way back from `_terms`."""
    match by:
        case "classes" | "logarithms":
            return terms.clamp_min(1e-12).log()
        case "labels":
            return terms.clamp_min(1e-12).log() - (1 - terms).clamp_min(1e-12).log()
    return terms


def _vote(of: str, image: Tensor, metadata: Tensor) -> Tensor:
    return _outputs(of, (_terms(of, image) + _terms(of, metadata)) / 2)


def _attention(node: Node, x: Tensor, _: Inputs) -> Tensor:
    batch, tokens, width = x.shape
    heads = node.spec["heads"]
    qkv = F.linear(x, node.qkv.weight, node.qkv.bias).reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    joined = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
    return F.linear(joined.transpose(1, 2).reshape(batch, tokens, width), node.proj.weight, node.proj.bias)


def _class_token(node: Node, x: Tensor, _: Inputs) -> Tensor:
    return torch.cat([node.cls_token.expand(len(x), -1, -1), x], 1) + node.pos_embed


def _pooled(x: Tensor) -> Tensor:
    return {4: lambda: x.mean((2, 3)), 3: lambda: x.mean(1), 2: lambda: x}[x.dim()]()


def _fusion(node: Node, x: Tensor, inputs: Inputs) -> Tensor:
    method = node.spec["method"]
    control = node.in_turn(_pooled(x) if method in ("daft", "gate") else None, inputs)
    if method in ("film", "daft"):
        factor, offset = control.chunk(2, 1)
        return x * (1 + _channels(factor, x)) + _channels(offset, x)
    if method == "gate":
        return x * _channels(control.sigmoid() * 2, x)
    if method == "metanet":
        return x * _channels(control.sigmoid(), x)
    if method == "metablock":
        factor, offset = control.chunk(2, 1)
        return ((x * (1 + _channels(factor, x))).tanh() + _channels(offset, x)).sigmoid()
    if method == "attention":
        keys = x.flatten(2).transpose(1, 2) if x.dim() == 4 else x
        scores = keys @ control[:, :, None] / control.shape[1] ** 0.5
        weights = scores.softmax(1) * keys.shape[1]
        return x * (weights.reshape(len(x), 1, *x.shape[2:]) if x.dim() == 4 else weights)
    if method == "tile":
        if x is None:
            return control
        control = control[:, :, None, None].expand(-1, -1, *x.shape[2:]) if x.dim() == 4 else control[:, None, :].expand(-1, x.shape[1], -1) if x.dim() == 3 else control
        return torch.cat([x, control], 2 if x.dim() == 3 else 1)
    raise NetworkError(f"`{node.path}` fuses by `{method}`, which there is no torch layer for here")


def _soft_argmax(_: Node, x: Tensor, __: Inputs) -> Tensor:
    batch, n, height, width = x.shape
    share = x.flatten(2).softmax(2).reshape(x.shape)
    at = [(2 * torch.arange(side, device=x.device, dtype=x.dtype) + 1) / side - 1 for side in (width, height)]
    return torch.stack([(share.sum(2) * at[0]).sum(2), (share.sum(3) * at[1]).sum(2)], 2).reshape(batch, 2 * n)


def _aggregate(node: Node, x: Tensor, inputs: Inputs) -> Tensor:
    parts = [x]
    for _, child in node.order:
        parts.append(child.run(parts[-1], inputs))
    return torch.cat(parts, 1)


def _concat_pool(node: Node, x: Tensor, _: Inputs) -> Tensor:
    side = node.spec["side"]
    return torch.cat([F.adaptive_max_pool2d(x, side), F.adaptive_avg_pool2d(x, side)], 1)


def _window(node: Node) -> tuple[int, int, int]:
    return node.spec["kernel"], node.spec["stride"], node.spec.get("padding", 0)


LAYERS: dict[str, Callable[[Node, Any, Inputs], Any]] = {
    "sequential": lambda node, x, inputs: node.in_turn(x, inputs),
    "gate": _gate,
    "auxiliary": lambda node, x, inputs: x,
    "visibility": lambda node, x, inputs: x,
    "concat": lambda node, x, inputs: torch.cat([child.run(x, inputs) for _, child in node.order], 1),
    "aggregate": _aggregate,
    "sum": lambda node, x, inputs: sum(child.run(x, inputs) for _, child in node.order),
    "stack": _stack,
    "ensemble": _ensemble,
    "trees": _trees,
    "residual": _residual,
    "fusion": _fusion,
    "metadata": _metadata,
    "embedding": lambda node, x, inputs: x,
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "piecewise_linear": _piecewise,
    "linear": _linear,
    "temperature": lambda node, x, inputs: x * (1 / node.spec["temperature"]),
    "dropout": lambda node, x, inputs: F.dropout(x, node.spec["p"], node.training),
    "drop_path": _drop_path,
    "drop_image": _drop_image,
    "scale": _scale,
    "affine": lambda node, x, inputs: node.scale * x + node.bias,
    "pad": lambda node, x, inputs: F.pad(x, [node.spec.get(side, 0) for side in ("left", "right", "top", "bottom")]),
    "slice": lambda node, x, inputs: x[:, node.spec["start"] : node.spec["start"] + node.spec["length"]],
    "flatten": lambda node, x, inputs: x.flatten(1),
    "identity": lambda node, x, inputs: x,
    "self_attention": _attention,
    "to_tokens": lambda node, x, inputs: x.flatten(2).transpose(1, 2),
    "class_token": _class_token,
    "first_token": lambda node, x, inputs: x[:, 0],
    "max_pool": lambda node, x, inputs: F.max_pool2d(x, *_window(node)),
    "avg_pool": lambda node, x, inputs: F.avg_pool2d(x, *_window(node)),
    "adaptive_avg_pool": lambda node, x, inputs: F.adaptive_avg_pool2d(x, node.spec["side"]),
    "adaptive_concat_pool": _concat_pool,
    "upsample": lambda node, x, inputs: F.interpolate(x, scale_factor=node.spec["factor"], mode="nearest"),
    "soft_argmax": _soft_argmax,
    "relu": lambda node, x, inputs: F.relu(x),
    "relu6": lambda node, x, inputs: F.relu6(x),
    "silu": lambda node, x, inputs: F.silu(x),
    "hard_swish": lambda node, x, inputs: F.hardswish(x),
    "hard_sigmoid": lambda node, x, inputs: F.hardsigmoid(x),
    "gelu": lambda node, x, inputs: F.gelu(x),
    "sigmoid": lambda node, x, inputs: x.sigmoid(),
    "tanh": lambda node, x, inputs: x.tanh(),
}
