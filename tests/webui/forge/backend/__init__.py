"""Test host: stands in for Forge's `backend`."""
