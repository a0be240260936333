"""Knowing that a model is right: `verify` compares it with its program, input by input."""

from tracr_lite.verifying.errors import VerifyError as VerifyError
from tracr_lite.verifying.report import Extreme as Extreme
from tracr_lite.verifying.report import Failure as Failure
from tracr_lite.verifying.report import Report as Report
from tracr_lite.verifying.verify import verify as verify
