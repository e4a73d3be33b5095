"""Judges of images: one module per scorer, a registry of data rows, and their combination."""
