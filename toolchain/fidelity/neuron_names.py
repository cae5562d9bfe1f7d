"""How a neuron is called where people read it."""


def neuron_name(shape: tuple[int, ...], index: int) -> str:
    """Return the place of a neuron in its population, from its index in the flattened shape.

    >>> neuron_name((10,), 7)
    'neuron 7'
    >>> neuron_name((8, 4, 4), 21)
    'channel 1, row 1, column 1'
    """
    if len(shape) != len(("channel", "row", "column")):
        return f"neuron {index}"
    channel, place = divmod(index, shape[1] * shape[2])
    row, column = divmod(place, shape[2])
    return f"channel {channel}, row {row}, column {column}"
