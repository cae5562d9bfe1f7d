"""What a build holds, for people: its network as text, and all that is known about one of its nodes."""

from toolchain.errors import UnknownNameError, UsageError
from toolchain.fidelity.why import explain_node
from toolchain.intake import name_of
from toolchain.ir import Graph, Stage, print_graph
from toolchain.workflow.build_folder import Build


def show_graph(build: Build, stage: Stage = Stage.FIXED) -> str:
    """Return the network of a build as text, a line per node.

    Args:
        build: The compiled network.
        stage: Whether the integers are shown, or the real numbers they came from.
    """
    return print_graph(build.graph(stage))


def graph_after(build: Build, after: str) -> Graph:
    """Return what a pass of the compiler made of the network of a build.

    Args:
        build: The compiled network.
        after: Name of a pass that ran, such as `quantize-graph`; `Build.passes` lists them in order.

    Raises:
        UsageError: The build does not hold what its passes made.
        UnknownNameError: No such pass ran; lists those that did.
    """
    if not build.passes:
        raise UsageError(
            "the build does not hold what its passes made of the network: its integers came from a file, or "
            "an older version wrote it",
            "compile the network again",
        )
    graphs = {each.name: each.graph for each in build.passes}
    if name_of(after, "after") not in graphs:
        raise UnknownNameError("pass", after, graphs)
    return graphs[after]


def show_node(build: Build, node: str) -> list[str]:
    """Return all that is known about the quantization of a node, in sentences.

    Raises:
        UnknownNameError: Lists the nodes that were quantized.
    """
    return explain_node((build.float_graph, build.fixed_graph), build.quantization, node)
