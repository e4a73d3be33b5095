"""Test host: `modules.sd_schedulers`."""

from types import SimpleNamespace

schedulers = [SimpleNamespace(name=name.lower(), label=name) for name in ("Automatic", "Karras")]
