"""Valid texts of each kind, to be spoilt."""

from __future__ import annotations

__all__ = ["BOUNDS", "INFOTEXTS", "METADATA", "PROMPTS", "RECIPES", "mbw_table"]


def mbw_table() -> str:
    """Return a table as auto-MBW-rt writes it."""
    rows = [[f"0.{(i * 7 + j) % 10}" for j in range(27)] + [str(i)] for i in range(5)]
    return "\n".join(",".join(row) for row in [[*map(str, range(27)), "score"], *rows])


RECIPES = (
    'version 0.1.0\nmodel "a.safetensors"\nmodel "x/b.safetensors" "sd1-ldm" "weight"\nmerge "weighted_sum" &0 &1 0.7',
    (
        'version 0.1.0\nmodel "a"\nmodel "b"\nmodel "c"\ndict x=0.5\nmerge "add_difference" &0 &1 alpha=&3\n'
        'merge "weighted_sum" &4 &2 alpha=0.2'
    ),
)
INFOTEXTS = (
    (
        "a cat,\non a mat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, "
        'Seed: 1, Size: 512x512, Model: x, ModelMixer mbw weights b: "0,0,0", X prompt: "a, b", Clip skip: 2, '
        "Hires upscale: 2"
    ),
    "a\nSteps: 4, Size: 64x64, Eta: 0.5, Variation seed: 4, Variation seed strength: 0.1, Tiling: True",
    'x\nSteps: 4, Sampler: Euler, ModelMixer mbw weights b: "' + ",".join(["0.5"] * 26) + '"',
)
_NUMBERS = ",".join(["0.1"] * 25)
METADATA = (
    {"sd_merge_recipe": {"type": "optim", "values": {"alpha": {"BASE": 0.5, "IN00": 1}}}},
    {
        "sd_merge_recipe": {
            "type": "sd-webui-supermerger", "mbw": True, "weights_alpha": _NUMBERS, "base_alpha": 0.3,
        }
    },
    {"sd_merge_recipe": {"weights_alpha": [[0.5] * 26], "alpha": [0.4]}},
    {"sd_mbwrt_recipe": {"mbwrt_weights": [0.5] * 27}},
)  # fmt: skip
BOUNDS = ("0.1..0.5", "0..1 step 0.05", "1e-6..1 log", "1..64 int", "{8, 16, 32}", "bool", "=0.3", "=IN05", '="word"')
PROMPTS = ("a {red|2::blue} __animal__", "{2$$a|b|c} \\{x\\}", "{a|{b|{c|d}}} __colour__", "<lora:__x__:1> __animal__")
