"""Bad files and bad requests, made by the thousand: nothing of it may be more than one sentence to the user.

``python -m tests.fuzz --help`` is the long command; `test_fuzz` the share of it that CI runs.
"""
