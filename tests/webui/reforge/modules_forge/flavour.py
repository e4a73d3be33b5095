"""Test host: which of the two this is; set by the fixture before anything is imported."""

import os

CLASSIC = os.environ["OPTIM_TEST_FLAVOUR"] == "classic"
