"""Many models at once: `compile_many`, and data sets of random programs with their weights."""

from tracr_lite.mass.errors import MassError as MassError
from tracr_lite.mass.errors import NotSendable as NotSendable
from tracr_lite.mass.errors import TimedOut as TimedOut
from tracr_lite.mass.errors import WorkerDied as WorkerDied
