"""Scorers that stand on CLIP: one backbone, loaded once, for all of them that use the same weights."""
