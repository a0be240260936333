"""Pictures of compiled models: functions of a model and an input that return a figure."""

from tracr_lite.visualize.attention import attention as attention
from tracr_lite.visualize.program import program_graph as program_graph
from tracr_lite.visualize.residual import residual_stream as residual_stream
