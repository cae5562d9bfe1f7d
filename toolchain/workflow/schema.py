"""JSON schemas of the files that Pumice writes and reads, for whoever reads or writes them elsewhere."""

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from toolchain.errors import TargetError, TargetUnavailableError, UnknownNameError

if TYPE_CHECKING:
    from toolchain.files.documents import Document

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_CHIP_PROFILE: Final = "chip-profile"
_PROCESSOR_PROFILE: Final = "processor-profile"
_BOARD_PROFILE: Final = "board-profile"

SCHEMAS: Final = {
    "manifest": "manifest.json: the files of a build, and how its network came to be",
    "quantization": "quantization.json: what quantization did to every tensor of a build",
    "fidelity": "fidelity.json, or 'pumice compare' for machines: how faithful the integers are",
    "resources": "resources.json, or 'pumice check' for machines: a build on its chip",
    "firmware": "'pumice check' for machines, of a processor: flash, RAM and a step of a build",
    "fpga": "'pumice check' for machines, of an FPGA: the design and a step of a build",
    "passes": "passes.json: what every pass of the compiler made of the network of a build",
    "graph": "graph.json: the nodes of a graph, in real numbers or in integers",
    "run": "run.json: the files of a run, its experiment, and every epoch",
    "input": "input.json: how new samples are read and encoded for a trained network",
    "experiment": "an experiment in TOML: data, model, pruning, training",
    "sweep": "a sweep in TOML: an experiment, and what is varied of it",
    "sweep-point": "a row of a sweep: settings, figures, folders of a point",
    "pruning": "pruning.json: every iteration of a pruning, and the files of its network",
    "network": "network.json: populations and connections of a trained network",
    "feed-forward": "network.json of a feed-forward network: its blocks",
    "baseline": "a baseline: figures of a comparison that must not get worse",
    "diagnosis": "'pumice doctor' for machines: versions, and whether everything works",
    _CHIP_PROFILE: "a chip profile in TOML: limits and costs of a chip",
    _PROCESSOR_PROFILE: "a processor profile in TOML: memories, clock and core of a microcontroller",
    _BOARD_PROFILE: "a board profile in TOML: FPGA, clock and pins",
}
"""Names of the schemas, and what each describes."""
_CLASSES: Final = {
    "manifest": "toolchain.workflow.build_folder:Manifest",
    "quantization": "toolchain.passes.quantization.report:QuantizationReport",
    "fidelity": "toolchain.workflow.judgement:FidelityDocument",
    "resources": "toolchain.workflow.check:ResourcesDocument",
    "firmware": "toolchain.workflow.firmware:FirmwareDocument",
    "fpga": "toolchain.workflow.fpga:FpgaDocument",
    "passes": "toolchain.workflow.pass_graphs:StoredPasses",
    "graph": "toolchain.ir.store:GraphDocument",
    "run": "toolchain.workflow.run_folder:RunDocument",
    "input": "toolchain.data.new_samples.raw_encoder:RawEncoder",
    "experiment": "toolchain.workflow.experiment:Experiment",
    "sweep": "toolchain.sweep.sweep_file:SweepSections",
    "sweep-point": "toolchain.sweep.rows:PointRow",
    "pruning": "toolchain.workflow.prune:PruningDocument",
    "network": "toolchain.training.checkpoint:NetworkDocument",
    "feed-forward": "toolchain.training.feed_forward_files:FeedForwardDocument",
    "baseline": "toolchain.fidelity.baseline:Baseline",
    "diagnosis": "toolchain.workflow.doctor:Diagnosis",
}


def document_of(name: str) -> "type[Document]":
    """Return the class of the documents that a schema describes.

    Raises:
        UnknownNameError: Lists the names of the schemas.
    """
    if name not in SCHEMAS:
        raise UnknownNameError("schema", name, SCHEMAS)
    if name in {_CHIP_PROFILE, _PROCESSOR_PROFILE, _BOARD_PROFILE}:
        return _profile_form(name)
    module, _, attribute = _CLASSES[name].partition(":")
    return getattr(import_module(module), attribute)


def _profile_form(name: str) -> "type[Document]":
    """Return what the installed targets say of profiles; the toolchain knows none."""
    from toolchain.target.protocol import (  # noqa: PLC0415 - names need no NumPy
        BoardTarget,
        ChipTarget,
        ProcessorTarget,
    )
    from toolchain.target.registry import installed_targets, load_target  # noqa: PLC0415 - likewise

    for each in sorted(installed_targets()):
        with suppress(TargetUnavailableError):
            target = load_target(each)
            if name == _CHIP_PROFILE and isinstance(target, ChipTarget):
                return target.profile_form
            if name == _PROCESSOR_PROFILE and isinstance(target, ProcessorTarget):
                return target.processor_form
            if name == _BOARD_PROFILE and isinstance(target, BoardTarget):
                return target.board_form
    raise TargetError(f"no installed target knows a {name.removesuffix('-profile')}")


def schema_of(name: str) -> dict[str, Any]:
    """Return a JSON schema (draft 2020-12), with a description of every field.

    Args:
        name: One of `SCHEMAS`.

    Raises:
        UnknownNameError: Lists the names of the schemas.
    """
    from toolchain.files.described import DescribedSchema  # noqa: PLC0415 - a list of names needs no Pydantic

    document = document_of(name)
    schema = document.model_json_schema(schema_generator=DescribedSchema)
    version = getattr(document, "VERSION", 1)
    header = {"$schema": _DIALECT, "$id": f"urn:pumice:schema:{name}:{version}", "title": f"Pumice {name}"}
    return header | {key: value for key, value in schema.items() if key != "title"}
