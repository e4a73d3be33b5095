"""Test host: `ldm_patched.modules`."""
