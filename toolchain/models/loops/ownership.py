"""Arrays without an owner: their slices cost no counting of references.

Numba counts the references to the memory of an array whenever one is sliced, in operations that all cores
agree upon: a step of a small layer would spend most of its time there. An array that owns nothing is not
counted. Whoever makes one sees to it that the memory lives as long: that of an argument does, since it is the
caller's; that of an array made in the function does until `keep` was called with it.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def unowned(typing: Any, array: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Return an array of the same memory that is no owner of it."""
    del typing

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        view = make_array(call.args[0])(context, builder, values[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        return view._getvalue()  # noqa: SLF001 - Numba's own way

    return array(array), generate


@intrinsic
def keep(typing: Any, array: Any) -> Any:  # noqa: ANN401 - Numba ships no types
    """Do nothing: the memory of an array lives until here."""
    del typing

    def generate(context: Any, builder: Any, call: Any, values: Any) -> Any:  # noqa: ANN401
        del builder, call, values
        return context.get_dummy_value()

    return types.void(array), generate
