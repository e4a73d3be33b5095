"""What the WebUIs pin: the versions that installing Optim must leave alone."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HOST_PINS", "OLD_INSTALL"]

_BOTH = {
    "setuptools": "69.5.1",
    "GitPython": "3.1.32",
    "Pillow": "9.5.0",
    "blendmodes": "2022",
    "clean-fid": "0.1.35",
    "diskcache": "5.6.3",
    "einops": "0.4.1",
    "facexlib": "0.3.0",
    "httpcore": "0.15",
    "httpx": "0.24.1",
    "inflection": "0.5.1",
    "jsonmerge": "1.8.0",
    "kornia": "0.6.7",
    "lark": "1.1.2",
    "numpy": "1.26.2",
    "omegaconf": "2.2.3",
    "open-clip-torch": "2.20.0",
    "piexif": "1.1.3",
    "pillow-avif-plugin": "1.4.3",
    "protobuf": "3.20.0",
    "psutil": "5.9.5",
    "pytorch_lightning": "1.9.4",
    "resize-right": "0.0.2",
    "safetensors": "0.4.2",
    "scikit-image": "0.21.0",
    "spandrel": "0.3.4",
    "spandrel-extra-arches": "0.1.1",
    "tomesd": "0.1.3",
    "torchdiffeq": "0.2.3",
    "torchsde": "0.2.6",
}

HOST_PINS: Mapping[str, Mapping[str, str]] = {
    "A1111 1.10.1": {
        **_BOTH,
        "torch": "2.1.2",
        "torchvision": "0.16.2",
        "accelerate": "0.21.0",
        "fastapi": "0.94.0",
        "gradio": "3.41.2",
        "transformers": "4.30.2",
        "tokenizers": "0.13.3",
    },
    "Forge": {
        **_BOTH,
        "torch": "2.3.1",
        "torchvision": "0.18.1",
        "accelerate": "0.31.0",
        "diffusers": "0.31.0",
        "fastapi": "0.104.1",
        "gradio": "4.40.0",
        "gradio_imageslider": "0.0.20",
        "gradio_rangeslider": "0.0.6",
        "huggingface-hub": "0.26.2",
        "loadimg": "0.1.2",
        "peft": "0.13.2",
        "pydantic": "2.8.2",
        "tqdm": "4.66.1",
        "transformers": "4.46.1",
    },
}

# What nothing pins, as an installation of 2024 may still hold it.
OLD_INSTALL: Mapping[str, str] = {
    "typing_extensions": "4.9.0",
    "MarkupSafe": "2.1.3",
    "PyYAML": "6.0.1",
    "packaging": "23.2",
    "tqdm": "4.66.1",
    "pandas": "2.1.4",
    "scipy": "1.11.4",
}
