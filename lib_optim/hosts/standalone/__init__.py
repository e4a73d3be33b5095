"""The host without a WebUI: Stable Diffusion 1.x and XL through diffusers, from single files, with no network."""

from lib_optim.hosts.standalone.host import StandaloneHost

__all__ = ["StandaloneHost"]
