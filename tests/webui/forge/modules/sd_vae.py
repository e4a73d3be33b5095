"""Test host: Forge has no VAE override of its own; additional modules replace parts at load."""

loaded_vae_file = None
