"""Test host: `modules.call_queue`."""

from tests.webui.parts import FIFOLock

queue_lock = FIFOLock()
