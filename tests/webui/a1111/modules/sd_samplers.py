"""Test host: `modules.sd_samplers`."""

from types import SimpleNamespace

all_samplers = [SimpleNamespace(name=name) for name in ("DPM++ 2M", "Euler", "Euler a")]
step_hooks = []  # tests: called with each step's number, from the thread that samples


def visible_samplers():
    return all_samplers


def visible_sampler_names():
    return [sampler.name for sampler in all_samplers]
