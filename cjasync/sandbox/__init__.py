"""An embedded CJ: a catalogue from a seed behind CJ's paths, envelopes, limits and oddities.

`Sandbox` runs in this event loop, `SandboxProcess` in a process of its own.
"""

from cjasync.sandbox.churn import Churn
from cjasync.sandbox.faults import Fault
from cjasync.sandbox.server import Sandbox, SandboxProcess, serve
from cjasync.sandbox.settings import Settings

__all__ = ["Churn", "Fault", "Sandbox", "SandboxProcess", "Settings", "serve"]
