"""A point of a sweep: the experiment, the target and what is measured, under a name that is their hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from importlib.metadata import version
from json import dumps
from pathlib import Path
from typing import Any, Final, final

from toolchain.errors import ExperimentError
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.judging import Judging
from toolchain.sweep.rows import Setting
from toolchain.target.registry import DEFAULT_EXECUTOR
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.own_code import code_of
from toolchain.workflow.sections.model import OwnModel
from toolchain.workflow.sections.quantization import QuantizationSection

TARGET: Final = "target"
"""The key of a sweep that no experiment has: the target of the compiler."""
AFTER_TRAINING: Final = (TARGET, "quantization")
"""First parts of the keys that decide the build, but not the trained network."""
_LETTERS: Final = 20
"""Of a name: 80 bits, so that two of a million points have the same one in 10^12 sweeps."""


@final
@dataclass(frozen=True)
class Point:
    """A point of a sweep.

    Attributes:
        settings: The keys that the sweep varies, with the values of this point.
        experiment: The whole experiment.
        target: Target of the compiler.
        compare: What is measured.
        judging: On which samples, and when a training is hopeless; no part of the name.
        code: Hash of the user's code when the sweep began; None without such code.
    """

    settings: dict[str, Setting]
    experiment: Experiment
    target: str = DEFAULT_EXECUTOR
    compare: CompareSection = field(default_factory=CompareSection)
    judging: Judging = field(default_factory=Judging)
    code: str | None = None

    @property
    def run_experiment(self) -> Experiment:
        """The experiment as it decides the trained network, which all numbers of bits share."""
        return self.experiment.model_copy(update={"quantization": QuantizationSection()})

    @cached_property
    def run_name(self) -> str:
        """Name of the run: a hash of the experiment without `[quantization]`, and of the code it names."""
        return _hash(self._deciding())

    @cached_property
    def name(self) -> str:
        """Name of the point: a hash of all that decides it."""
        decided = {
            "run": self._deciding(),
            "quantization": self.experiment.quantization.model_dump(mode="json"),
            "target": self.target,
            "compare": self.compare.model_dump(mode="json"),
        }
        return _hash(decided)

    def check_code(self) -> None:
        """Raise if the user's code is not what it was when the sweep began.

        Raises:
            ExperimentError: Names the file.
        """
        model = self.experiment.model
        if self.code is not None and self.code != _code(model):
            raise ExperimentError(
                "model.module",
                f"'{getattr(model, 'module', '')}' was changed while the sweep was under way; "
                "give the same command again: its points are others then",
            )

    def _deciding(self) -> dict[str, Any]:
        """Return all that decides the trained network.

        Of the user's code it is the file that the experiment names: what that imports is known once it was
        run.
        """
        return {
            "pumice": pumice_version(),
            "experiment": self.experiment.model_dump(mode="json", exclude={"quantization"}),
            "code": self.code,
        }


@final
@dataclass(frozen=True)
class SharedSettings:
    """What all points of a sweep share.

    Attributes:
        document: The experiment as it stands in a file, without the keys that are varied.
        target: Target of the compiler, where it is not varied.
        compare: What is measured.
        codes: Hash of every file of the user's code that a point was seen to name, by what names it.
    """

    document: Mapping[str, Any] = field(default_factory=dict)
    target: str = DEFAULT_EXECUTOR
    compare: CompareSection = field(default_factory=CompareSection)
    codes: dict[str, str | None] = field(
        default_factory=dict[str, "str | None"], init=False, repr=False, compare=False
    )

    def point(self, settings: Mapping[str, Setting]) -> Point:
        """Return the point with some settings.

        Args:
            settings: Values by dotted key of the experiment, or `target`.

        Raises:
            ExperimentError: Names the first key that is unknown or has a value that is not accepted.
        """
        keys = {key: value for key, value in settings.items() if key != TARGET}
        target = settings.get(TARGET, self.target)
        if not isinstance(target, str):
            raise ExperimentError(TARGET, f"expected the name of a target, got {target!r}")
        try:
            experiment = parse_experiment(with_settings(self.document, keys))
        except ExperimentError as error:
            error.add_note(f"at the point {spelled(settings)}")
            raise
        code = self._code_of(experiment.model)
        return Point(dict(settings), experiment, target, self.compare, code=code)

    def _code_of(self, model: object) -> str | None:
        """Return the hash of the user's code, read once: what changes meanwhile is no part of this."""
        if not isinstance(model, OwnModel):
            return None
        if model.module not in self.codes:
            self.codes[model.module] = _code(model)
        return self.codes[model.module]


def with_settings(document: Mapping[str, Any], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the document of an experiment with values under dotted keys.

    Raises:
        ExperimentError: A key leads into what is no section.
    """
    content = dict(document)
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = content
        for name in sections:
            inner = place.get(name, {})
            if not isinstance(inner, Mapping):
                raise ExperimentError(key, f"cannot be varied: the experiment says that {name} is {inner!r}")
            place[name] = dict(inner)
            place = place[name]
        place[last] = value
    return content


def spelled(settings: Mapping[str, Setting]) -> str:
    """Return settings in words.

    >>> spelled({"seed": 1, "quantization.weight_bits": 4})
    'seed = 1, quantization.weight_bits = 4'
    """
    return ", ".join(f"{key} = {_word(value)}" for key, value in settings.items()) or "without settings"


def decides_run(key: str) -> bool:
    """Return whether a key of a sweep decides the trained network."""
    return key.partition(".")[0] not in AFTER_TRAINING


def _word(value: Setting) -> str:
    return dumps(list(value) if isinstance(value, tuple) else value)


def located(experiment: Experiment, folder: Path) -> Experiment:
    """Return an experiment whose paths do not depend on the folder in which a worker was started.

    Args:
        experiment: The experiment.
        folder: The folder from which its relative paths are seen.
    """
    model, data = experiment.model, experiment.data
    changes: dict[str, Any] = {}
    if (module := getattr(model, "module", None)) is not None:
        changes["model"] = model.model_copy(update={"module": str(folder / module)})
    paths = {
        name: str(folder / text) for name in ("path", "test_path") if (text := getattr(data, name, "")) != ""
    }
    if paths:
        changes["data"] = data.model_copy(update=paths)
    return experiment.model_copy(update=changes)


def _code(model: object) -> str | None:
    code = code_of(model)
    return None if code is None else code.sha256


def _hash(document: Mapping[str, Any]) -> str:
    text = dumps(document, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:_LETTERS]


@cache
def pumice_version() -> str:
    """Return the version of this Pumice."""
    return version("pumice")
