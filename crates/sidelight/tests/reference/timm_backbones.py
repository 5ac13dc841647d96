"""Keys and logits of timm's networks, for `network::tests::timm`.

    pip install timm==1.0.31 && python timm_backbones.py

Weights come from a formula that the Rust test repeats, from timm's own keys (`fill`), so that none are stored; the test
writes them to a file and reads that as it reads a downloaded one. Images come from a formula too (`images`).
Keys are stored with their shapes, `conv_stem.weight 32 3 3 3`, a normalisation's four as one, `bn1.* 32`.
Written with torch 2.15, timm 1.0.31.
"""

import json
import pathlib

import numpy
import timm
import torch
from torch_backbones import images, noise, rounded

NORM = ["weight", "bias", "running_mean", "running_var"]
#: Our name: timm's, pixels a side (layers that pad as TensorFlow does see odd sides and even ones), and the weights' variance
#: times the fan-in: about 2, as He has it, keeps images apart through many layers with ReLU, and logits of the order of 1.
NAMES = {
    "mobilenet_v3_small": ("mobilenetv3_small_100", 64, 2.9),
    "mobilenet_v3_large": ("mobilenetv3_large_100", 64, 2.4),
    "efficientnet_lite1": ("tf_efficientnet_lite1", 66, 2.0),
    "efficientnet_lite2": ("tf_efficientnet_lite2", 75, 2.0),
    "mobilenetv4_conv_small": ("mobilenetv4_conv_small", 64, 2.0),
    "mobilenetv4_conv_medium": ("mobilenetv4_conv_medium", 64, 1.5),
    "hgnetv2_b0": ("hgnetv2_b0", 64, 2.5),
    "hgnetv2_b1": ("hgnetv2_b1", 70, 2.5),
    "hgnetv2_b2": ("hgnetv2_b2", 64, 2.5),
    "regnety_016": ("regnety_016", 64, 2.0),
    "convnext_atto": ("convnext_atto", 64, 2.0),
    "convnext_femto": ("convnext_femto", 64, 2.0),
    "convnext_pico": ("convnext_pico", 64, 2.0),
    "convnext_nano": ("convnext_nano", 64, 2.0),
}


def fill(network, gain):
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            u = noise(name, tensor.numel())
            if name.endswith("running_var"):
                values = 1.0 + 0.5 * numpy.abs(u)
            elif tensor.ndim >= 2:
                values = u * numpy.sqrt(3.0 * gain / (tensor.numel() // tensor.shape[0]))
            elif name.endswith(("weight", "scale")):
                values = 1.0 + 0.1 * u
            else:
                values = 0.1 * u
            tensor.copy_(torch.from_numpy(values.astype(numpy.float32)).reshape(tensor.shape))


def keys(network):
    state = {key: list(value.shape) for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    found = []
    for key, shape in state.items():
        module, _, last = key.rpartition(".")
        four = [state.get(f"{module}.{name}") for name in NORM]
        is_norm = four[0] is not None and all(each == four[0] for each in four)
        if is_norm and last == "weight":
            found.append(f"{module}.* {shape[0]}")
        elif not is_norm:
            found.append(" ".join([key, *map(str, shape)]))
    return found


def main():
    torch.set_num_threads(1)
    expected = {}
    for ours, (theirs, size, gain) in NAMES.items():
        network = timm.create_model(theirs, num_classes=10)
        fill(network, gain)
        network.eval()
        with torch.no_grad():
            logits = network(images(4, 3, size))
        # Images must be told apart, or nothing is tested.
        spread = logits.std(0).mean().item()
        print(f"{ours}: {sum(p.numel() for p in network.parameters())} parameters, logits to {logits.abs().max():.3g}, spread {spread:.3g}")
        assert 0.05 < spread < 100.0, ours
        expected[ours] = {"timm": theirs, "size": size, "gain": gain, "keys": keys(network), "logits": rounded(logits)}
    text = json.dumps(expected, separators=(",", ":")).replace('},"', '},\n"')
    pathlib.Path(__file__).with_name("timm_backbones.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
