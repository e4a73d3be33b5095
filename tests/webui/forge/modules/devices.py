"""Test host: `modules.devices`."""

import torch

cpu = device = torch.device("cpu")


def torch_gc():
    pass
