"""Test host: stands in for A1111's `modules`."""
