"""Small files of weights as torch writes them, whole and broken, for `network::tests::weights`.

    python torch_weights.py

`evil_beside.pth` would, where a pickle is executed, leave a file `sidelight_was_here`.
"""

import os
import pathlib
from collections import OrderedDict

import torch

FOLDER = pathlib.Path(__file__).parent / "weights"


class Evil:
    def __reduce__(self):
        return os.system, ("touch sidelight_was_here",)


def main():
    FOLDER.mkdir(exist_ok=True)
    state = OrderedDict()
    state["fc.weight"] = torch.arange(6.0).reshape(2, 3)
    state["fc.bias"] = torch.zeros(2)
    for name in ["weight", "bias", "running_mean", "running_var"]:
        state[f"bn.{name}"] = torch.ones(2)
    state["bn.num_batches_tracked"] = torch.tensor(3)
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1, "state": [torch.ones(3)]}}, FOLDER / "checkpoint.pth")
    torch.save(OrderedDict((f"module.{key}", value) for key, value in state.items()), FOLDER / "parallel.pth")
    torch.save({"state_dict": state, "evil": Evil()}, FOLDER / "evil_beside.pth")
    for name in ["zip", "legacy"]:
        whole = (FOLDER / f"{name}.pth").read_bytes()
        (FOLDER / f"short_{name}.pth").write_bytes(whole[: len(whole) - 40])


if __name__ == "__main__":
    main()
