"""Test host: `modules.devices`."""

from contextlib import nullcontext

import torch

cpu = device = torch.device("cpu")
fp8 = False


def torch_gc():
    pass


def autocast():
    return nullcontext()
