"""Knowing that a model is right: `verify` compares it with its program, input by input.

Where they differ, `blame` tells which part of the model is at fault.
"""

from tracr_lite.verifying.blame import blame as blame
from tracr_lite.verifying.errors import VerifyError as VerifyError
from tracr_lite.verifying.fault import Blame as Blame
from tracr_lite.verifying.fault import Culprit as Culprit
from tracr_lite.verifying.fault import WrongColumn as WrongColumn
from tracr_lite.verifying.report import Extreme as Extreme
from tracr_lite.verifying.report import Failure as Failure
from tracr_lite.verifying.report import Report as Report
from tracr_lite.verifying.verify import verify as verify
