"""What makes the things that the repository stores. Nothing here is needed to run Optim."""
