"""Rules of the adapters, of the shared session and of the run, each broken on purpose.

A mutation names the row of the self-test that must go red; it may redden others too.
"""

from tests.selftest.mutations import caches, flags, guards, locks, lora, told, weights
from tests.selftest.mutations.registry import MUTATIONS, Mutation

__all__ = ["MUTATIONS", "Mutation", "caches", "flags", "guards", "locks", "lora", "told", "weights"]
