"""`[pruning] fit`: what the network may take where it is to run, which decides how many synapses it has."""

import json
import re
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from toolchain.errors import PruningError, UsageError
from toolchain.files.documents import Document, explained
from toolchain.intake import check_type
from toolchain.pruning.fit import BudgetLimit, Saliency, SizeBudget, bytes_of
from toolchain.target.registry import DEFAULT_EXECUTOR
from toolchain.workflow.sections.numbers import Positive
from toolchain.workflow.sections.quantization import Bits

_USUAL: Final = {
    BudgetLimit.SYNOPS: DEFAULT_EXECUTOR,
    BudgetLimit.FLASH: "c",
    BudgetLimit.RAM: "c",
    BudgetLimit.BRAM: "rtl",
}
"""Targets that are asked unless another is named."""
ANY_BITS: Final = (4, 6, 8)
"""Bits that are tried where any will do."""
_KEY: Final = re.compile(r"([a-z_]+)\s*=\s*")
_WRITTEN: Final = "write it like 'loihi1 cores=2', 'synops=20_000' or 'flash=64 KiB'"
_DIGITS: Final = 20
"""Most digits of a number that is read as one: of what has more, Python reads no thousands."""
Size = Positive | Annotated[str, Field(pattern=r"^[0-9][0-9_]*(\.[0-9]+)? ?(B|[kKM]B|[KM]iB)?$")]


class FitSection(Document):
    """`fit`, of the sparse methods: the largest network that a place has room for. One limit is given."""

    target: str | None = Field(
        default=None, description="place that is asked: of cores a chip, such as loihi1 or loihi2"
    )
    cores: Positive | None = Field(default=None, description="cores of the chip that it may take")
    synops: Positive | None = Field(default=None, description="synaptic operations that a sample may take")
    flash: Size | None = Field(
        default=None, description="bytes of flash of a processor, such as '64 KiB' (target c)"
    )
    ram: Size | None = Field(default=None, description="bytes of RAM of a processor (target c)")
    bram: Size | None = Field(
        default=None, description="bytes of the memories of a core in an FPGA (target rtl)"
    )
    profile: str | None = Field(
        default=None, description="processor, such as stm32f411, or file with the limits of another chip"
    )
    weight_bits: tuple[Bits, ...] | Literal["any"] | None = Field(
        default=None,
        description="bits of a weight to choose from together with the synapses, such as [4, 6, 8], or 'any'",
    )
    saliency: Saliency = Field(
        default=Saliency.LAMP, description="what the loss says of a synapse: lamp, magnitude or gradient"
    )

    def budget(self) -> SizeBudget:
        """Return the budget.

        Raises:
            PruningError: No limit is given or several are, or a target that has no such limit.
        """
        given = [limit for limit in BudgetLimit if getattr(self, limit.value) is not None]
        names = ", ".join(limit.value for limit in BudgetLimit)
        if len(given) != 1:
            got = " and ".join(limit.value for limit in given) or "none"
            raise PruningError(f"expected one limit to fit, of {names}; got {got}")
        limit = given[0]
        target = self.target or _USUAL.get(limit)
        if target is None:
            raise PruningError(
                "cores are those of a chip; name it: `target = 'loihi1'`, in one line 'loihi1 cores=2'"
            )
        if self.profile is not None and limit in {BudgetLimit.SYNOPS, BudgetLimit.BRAM}:
            raise PruningError(f"a profile does nothing for {limit.value}; leave it out")
        amount = getattr(self, limit.value)
        bits = ANY_BITS if self.weight_bits == "any" else self.weight_bits or ()
        return SizeBudget(
            limit=limit,
            amount=bytes_of(amount) if limit.in_bytes else amount,
            target=target,
            profile=self.profile or "",
            weight_bits=tuple(dict.fromkeys(bits)),
            saliency=self.saliency,
        )


def parse_fit(text: str) -> FitSection:
    """Return a budget from one line, such as `loihi1 cores=2` or `flash=64 KiB weight_bits=4,6,8`.

    Raises:
        UsageError: It is no such line, or its values are none.
    """
    pieces = _KEY.split(check_type(text, "fit", str, _WRITTEN).strip())
    values: dict[str, object] = {}
    if target := _bare(pieces[0]):
        values["target"] = target
    for key, value in zip(pieces[1::2], pieces[2::2], strict=True):
        if key in values:
            raise UsageError(f"`fit` names {key} twice", "name it once")
        values[key] = _value(key, _bare(value))
    try:
        # As JSON, in which a list can be read as a tuple and a word as a choice.
        section = FitSection.model_validate_json(json.dumps(values))
        section.budget()
    except ValidationError as error:
        key, reason = explained(error.errors(include_url=False)[0])
        raise UsageError(
            f"`fit` '{text}': {key} {reason}",
            _WRITTEN,
        ) from None
    except PruningError as error:
        raise UsageError(f"`fit` '{text}': {error}") from None
    return section


def _bare(text: str) -> str:
    """Return a piece without what divides it from the next: space, or a comma as in a list."""
    return text.strip().removesuffix(",").strip()


def _value(key: str, text: str) -> object:
    if key == "weight_bits" and text != "any":
        return tuple(_number(part.strip()) for part in text.strip("[]").split(","))
    return _number(text)


def _number(text: str) -> object:
    plain = text.replace("_", "")
    return int(plain) if plain.isdecimal() and plain.isascii() and len(plain) <= _DIGITS else text
