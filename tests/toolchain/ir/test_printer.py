"""The printer says what a reader needs and nothing else; the texts themselves are golden."""

from tests.graphs import feed_forward
from toolchain.ir import print_graph


def test_every_node_has_one_line_with_its_type() -> None:
    lines = print_graph(feed_forward()).splitlines()
    assert lines[0] == "graph feed-forward (float, dt 1 ms)"
    assert len(lines) == 7
    assert lines[-1] == "  output = output(readout) decode=last_v : spike[2]"
    assert lines[5].startswith("  readout = lif(decode)")
    assert "vth=[inf,inf]" in lines[5]
