"""What a run must survive: kills, faults at every step, and thousands of trials. ``python -m tools.reliability``."""
