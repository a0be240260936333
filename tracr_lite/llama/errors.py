"""The errors of this part."""

from __future__ import annotations

from tracr_lite.errors import TracrLiteError


class LlamaError(TracrLiteError, ValueError):
    """Base class of all errors raised by `tracr_lite.llama`."""


class ConfigError(LlamaError):
    """Hyperparameters that no Llama model can have; lists all problems."""


class WeightsError(LlamaError):
    """Tensors that do not belong to a configuration, or hold what they must not."""


class CheckpointError(LlamaError):
    """A file or folder that cannot be read as a checkpoint, or not be written."""


class CannotStore(CheckpointError):
    """The target format has no place for something the model has; nothing was written."""


class TokenizerError(LlamaError):
    """A tokenizer that cannot be read, built, written or used for what was asked."""


class LlamaWarning(UserWarning):
    """Something was done otherwise than asked, and says so."""
