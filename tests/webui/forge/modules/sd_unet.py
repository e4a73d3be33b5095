"""Test host: `modules.sd_unet`."""

current_unet = None
unet_options = []


def get_unet_option(option=None):
    return None
