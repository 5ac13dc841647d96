"""Keys and shapes of networks as timm names them, for `network::tests::weights`.

    pip install timm==1.0.31 && python timm_keys.py
"""

import json
import pathlib

import timm

NAMES = ["mobilenetv2_100", "efficientnet_b0", "mobilenetv3_small_100"]


def main():
    keys = {name: {key: list(value.shape) for key, value in timm.create_model(name).state_dict().items()} for name in NAMES}
    text = json.dumps(keys, separators=(",", ":")).replace('},"', '},\n"')
    pathlib.Path(__file__).with_name("timm_keys.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
