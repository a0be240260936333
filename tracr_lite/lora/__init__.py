"""Adapt a model with low-rank weights, without touching its own.

A `LoraWeight` is a weight and a low-rank change to it. `use_implicit_args` lets any function
that was written for arrays run with them, at the cost of the factors. See docs/lora.md.
"""

from tracr_lite.lora.adapter_set import AdapterSet
from tracr_lite.lora.adapters import Adapter, adapter_of, attach, detach
from tracr_lite.lora.combining import Fit, add, compress, concatenate
from tracr_lite.lora.delta import from_delta
from tracr_lite.lora.errors import (
    LoraError,
    LoraShapeError,
    MaterializationError,
    MaterializationWarning,
)
from tracr_lite.lora.files import load_adapter, save_adapter
from tracr_lite.lora.implicit_args import use_implicit_args
from tracr_lite.lora.init import init_lora_parameters, pissa_init
from tracr_lite.lora.merging import merge_adapter, unmerge
from tracr_lite.lora.optim import lora_plus_rates, wrap_tx
from tracr_lite.lora.specs import LORA_FREEZE, LORA_FULL, XRapTureConfig, make_lora_specs
from tracr_lite.lora.trees import (
    dropout_parameters,
    join_lora_params,
    merge_parameters,
    partition,
    spec_of,
    split_lora_params,
)
from tracr_lite.lora.weight import EmptyNode, LoraWeight
from tracr_lite.lora.xrapture import XRapTure, XRapTureModule, apply_lora

__all__ = [
    "LORA_FREEZE",
    "LORA_FULL",
    "Adapter",
    "AdapterSet",
    "EmptyNode",
    "Fit",
    "LoraError",
    "LoraShapeError",
    "LoraWeight",
    "MaterializationError",
    "MaterializationWarning",
    "XRapTure",
    "XRapTureConfig",
    "XRapTureModule",
    "adapter_of",
    "add",
    "apply_lora",
    "attach",
    "compress",
    "concatenate",
    "detach",
    "dropout_parameters",
    "from_delta",
    "init_lora_parameters",
    "join_lora_params",
    "load_adapter",
    "lora_plus_rates",
    "make_lora_specs",
    "merge_adapter",
    "merge_parameters",
    "partition",
    "pissa_init",
    "save_adapter",
    "spec_of",
    "split_lora_params",
    "unmerge",
    "use_implicit_args",
    "wrap_tx",
]
