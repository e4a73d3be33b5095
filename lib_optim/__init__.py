"""Optim: finds the best merge of Stable Diffusion checkpoints, inside the WebUI that has them loaded."""

__version__ = "0.1.0"
