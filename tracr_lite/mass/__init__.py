"""Many models at once: `compile_many`, and data sets of random programs with their weights."""

from tracr_lite.mass.errors import DatasetError as DatasetError
from tracr_lite.mass.errors import MassError as MassError
from tracr_lite.mass.errors import NotSendable as NotSendable
from tracr_lite.mass.errors import TimedOut as TimedOut
from tracr_lite.mass.errors import WorkerDied as WorkerDied
from tracr_lite.mass.many import CompiledProgram as CompiledProgram
from tracr_lite.mass.many import compile_many as compile_many
from tracr_lite.mass.reading import Dataset as Dataset
from tracr_lite.mass.reading import read_dataset as read_dataset
from tracr_lite.mass.recipe import Recipe as Recipe
from tracr_lite.mass.records import Sample as Sample
from tracr_lite.mass.writing import write_dataset as write_dataset
