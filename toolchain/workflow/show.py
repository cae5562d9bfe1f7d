"""What a build holds, for people: its network as text, and all that is known about one of its nodes."""

from toolchain.fidelity.why import explain_node
from toolchain.ir import Stage, print_graph
from toolchain.workflow.build_folder import Build


def show_graph(build: Build, stage: Stage = Stage.FIXED) -> str:
    """Return the network of a build as text, a line per node.

    Args:
        build: The compiled network.
        stage: Whether the integers are shown, or the real numbers they came from.
    """
    return print_graph(build.graph(stage))


def show_node(build: Build, node: str) -> list[str]:
    """Return all that is known about the quantization of a node, in sentences.

    Raises:
        UnknownNameError: Lists the nodes that were quantized.
    """
    return explain_node((build.float_graph, build.fixed_graph), build.quantization, node)
