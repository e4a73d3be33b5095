"""From parameters to an sd-mecha recipe, to tensors, to live weights or a saved checkpoint."""
