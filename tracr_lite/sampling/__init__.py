"""Random RASP programs over every construct: `sample_program(seed)`.

A compiler is right when what it makes of any program agrees with the evaluator; these are the
programs to ask. Equal seeds give equal programs, in any process.
"""

from tracr_lite.sampling.programs import SampledProgram as SampledProgram
from tracr_lite.sampling.programs import sample_program as sample_program
from tracr_lite.sampling.source import source_of as source_of
