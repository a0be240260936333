"""RASP: the language, and the reference interpreters that say what a program means."""

from tracr_lite.rasp import causal_eval as causal_eval
from tracr_lite.rasp import rasp as rasp
