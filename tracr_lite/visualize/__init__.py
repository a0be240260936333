"""Pictures of compiled models: functions of a model and an input that return a figure."""

from tracr_lite.visualize.attention_maps import attention as attention
from tracr_lite.visualize.circuit_graph import circuit as circuit
from tracr_lite.visualize.errors import MissingDependency as MissingDependency
from tracr_lite.visualize.errors import VisualizeError as VisualizeError
from tracr_lite.visualize.neuron_maps import neurons as neurons
from tracr_lite.visualize.one_sheet import overview as overview
from tracr_lite.visualize.program_graphs import program_graph as program_graph
from tracr_lite.visualize.reading import Reading as Reading
from tracr_lite.visualize.reading import read as read
from tracr_lite.visualize.stream_maps import residual_stream as residual_stream
from tracr_lite.visualize.web_page import Heading as Heading
from tracr_lite.visualize.web_page import page as page
from tracr_lite.visualize.weight_maps import weights as weights
