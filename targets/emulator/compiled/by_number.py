"""One name for two functions of compiled code: one for integers, and one for real numbers."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import types
from numba.extending import overload

Function = TypeVar("Function", bound=Callable[..., Any])


def or_reals(reals: Callable[..., Any]) -> Callable[[Function], Function]:
    """Let compiled code call `reals` in place of a function of integers, by the type of the first argument.

    That is a number, an array, or a tuple that begins with one. Numba decides while it compiles, and no time
    is lost later.

    Args:
        reals: The function for real numbers; its arguments have the same names.
    """

    def extend(integers: Function) -> Function:
        def choose(first: Any, *_: Any) -> Callable[..., Any]:  # noqa: ANN401 - types of Numba
            return reals if _is_real(first) else integers

        # Numba compares the names of the arguments.
        choose.__signature__ = inspect.signature(integers)
        overload(integers)(choose)
        return integers

    return extend


def _is_real(kind: Any) -> bool:  # noqa: ANN401 - types of Numba
    while isinstance(kind, types.BaseTuple):
        kind = cast("Any", kind)[0]
    return isinstance(kind.dtype if isinstance(kind, types.Array) else kind, types.Float)
