"""Who proposes the next merge: presets first, then an Optuna sampler."""
