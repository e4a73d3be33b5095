"""Pictures, training and classifiers of the demo checkpoints. See tools/README.md."""
