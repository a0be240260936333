"""What the source of a sampled program needs, to be run by itself."""

from __future__ import annotations

from tracr_lite.rasp.source import source_of as source_of

IMPORTS = """\
from tracr_lite.compiler.lib import _append, _BreakTies, _CallWithLast, _KeyEquals
from tracr_lite.compiler.lib import _KeyIsBefore, _pair
from tracr_lite.rasp import rasp
from tracr_lite.rasp.functions import *
from tracr_lite.sampling.functions import *
from tracr_lite.sampling.predicates import *
"""
