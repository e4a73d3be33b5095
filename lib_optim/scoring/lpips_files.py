"""The files of LPIPS: torchvision's trunk, and the package's weights for it."""

from __future__ import annotations

__all__ = ["LPIPS_FILES"]

LPIPS_FILES = {
    "alex": ("alexnet-owt-7be5be79.pth", "alex.pth"),
    "vgg": ("vgg16-397923af.pth", "vgg.pth"),
}
