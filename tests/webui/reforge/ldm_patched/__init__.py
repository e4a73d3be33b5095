"""Test host: stands in for `ldm_patched`."""
