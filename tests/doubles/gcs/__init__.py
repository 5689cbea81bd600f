"""Cloud Storage."""

from .bulk import Fill
from .clock import Clock
from .faults import GcsFault, busy
from .server import GcsServer

__all__ = ["Clock", "Fill", "GcsFault", "GcsServer", "busy"]
