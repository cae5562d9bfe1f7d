"""Files are what their published schemas say, and every document has a schema or is internal on purpose."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

import targets
import toolchain
from tests.board_fits import board_fit
from tests.importable_modules import importable_modules
from tests.small_run import small_experiment
from toolchain.cli.main import main
from toolchain.errors import FormatVersionError, UnknownNameError
from toolchain.fidelity.baseline import write_baseline
from toolchain.files.documents import Document, FileDocument, parse_document, write_document
from toolchain.models import Add, FeedForward, NetworkBlock
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.sweep_folder import SweepFolder
from toolchain.training import save_feed_forward
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.doctor import Check, Diagnosis
from toolchain.workflow.firmware import check_firmware
from toolchain.workflow.fpga import Fpga
from toolchain.workflow.schema import SCHEMAS, document_of, schema_of

_INTERNAL = {
    "FileDocument": "what all files with a header have",
    "SealedDocument": "what all lists of a folder have",
    "NamedData": "what all data sets have",
    "FilesData": "what all data sets have that are read from a path",
    "OwnData": "what all data sets of one's own have",
    "ConvolutionalModel": "what all convolutional networks have",
    "_GraphHeader": "becomes GraphDocument",
    "_ResourcesHeader": "becomes ResourcesDocument",
    "_FirmwareHeader": "becomes FirmwareDocument",
    "_FpgaHeader": "becomes FpgaDocument",
    "HostNetwork": "what the host of a board knows of its network, which only that host reads",
    "HostInput": "a part of that",
    "HostOutput": "a part of that",
    "FitHeader": "what the documents of all fits have",
    "InputDocument": "what networks and feed-forward networks have",
    "NodeForm": "becomes a form per operation",
    "EnumForm": "becomes a form per enumeration",
    "NeuroBench": "becomes ChipMetrics",
    "CodeDocument": "which code began a training, which only the same command reads",
    "SweepDocument": "what a folder of a sweep was made for, which only the same command reads",
    "StoppedRun": "why a training of a search was ended early, which its row says",
    "StageNote": "how far a training of a sweep is, which is gone when it has ended",
    "TrainingRecord": "how long a training of a sweep took, which its rows say",
    "CountedValues": "what a range of a sweep is read by; its schema leaves values open",
    "TrainingNote": "the state of an unfinished training, which only the same command reads",
    **dict.fromkeys(
        (
            "NoArguments",
            "ConvolutionArguments",
            "LinearArguments",
            "NormArguments",
            "SpikingArguments",
            "PoolingArguments",
        ),
        "what the arguments of a block are checked by; the schema leaves them open",
    ),
}


@pytest.fixture(scope="module")
def files(
    small_run: Path, small_build: Path, tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> dict[str, list[Path]]:
    """Real files, per name of their schema."""
    folder = tmp_path_factory.mktemp("files")
    build = compile_run(small_run, target="loihi2")
    judgement = compare_build(build, attribute=True)
    build.save(folder / "chip", judgement)
    write_baseline(folder / "baseline.json", judgement.comparison)
    checks = (Check(name="cores", ok=True, finding="2"),)
    write_document(folder / "firmware.json", check_firmware(build, "rp2040", "c")[0].document())
    write_document(folder / "fpga.json", Fpga(board_fit()).document())
    write_document(folder / "diagnosis.json", Diagnosis(ok=True, versions={"numpy": "2.3"}, checks=checks))
    blocks = {
        NetworkBlock("conv", ("input",)): torch.nn.Conv2d(1, 2, 3, padding=1),
        NetworkBlock("both", ("conv", "conv")): Add(),
        NetworkBlock("flat", ("both",)): torch.nn.Flatten(),
        NetworkBlock("end", ("flat",)): torch.nn.Linear(32, 2),
    }
    save_feed_forward(FeedForward(blocks, shape=(1, 4, 4)).eval(), folder / "blocks")
    builds = (small_build, folder / "chip")
    row = PointRow(name="a", settings={"seed": 1, "model.train": ("dv",)}, state=PointState.DONE)
    SweepFolder(folder).write_row(row)
    return {
        "manifest": [each / "manifest.json" for each in builds],
        "quantization": [each / "quantization.json" for each in builds],
        "fidelity": [each / "fidelity.json" for each in builds],
        "resources": [folder / "chip" / "resources.json"],
        "firmware": [folder / "firmware.json"],
        "fpga": [folder / "fpga.json"],
        "passes": [each / "passes.json" for each in builds],
        "graph": [each / stage / "graph.json" for each in builds for stage in ("float", "fixed")],
        "run": [small_run / "run.json"],
        "input": [small_run / "input.json", small_build / "input.json"],
        "experiment": [small_run / "experiment.json", *sorted((repository / "examples").glob("*.toml"))],
        "sweep": sorted((repository / "examples" / "sweeps").glob("*.toml")),
        "sweep-point": [folder / "points" / "a.json"],
        "pruning": [small_run / "pruning" / "pruning.json"],
        "network": [small_run / "network" / "network.json", small_run / "unpruned" / "network.json"],
        "feed-forward": [folder / "blocks" / "network.json"],
        "baseline": [folder / "baseline.json"],
        "diagnosis": [folder / "diagnosis.json"],
        "chip-profile": sorted((repository / "targets" / "loihi").glob("*.toml")),
        "processor-profile": sorted((repository / "targets" / "c" / "profiles").glob("*.toml")),
        "board-profile": sorted((repository / "targets" / "rtl" / "fpga" / "boards").glob("*.toml")),
    }


def _content(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize("name", SCHEMAS)
def test_real_files_are_what_their_schema_says(name: str, files: dict[str, list[Path]]) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert files[name]
    for path in files[name]:
        content = _content(path)
        jsonschema.validate(content, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content | {"surprise": 1}, schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_real_files_come_back_as_they_were(name: str, files: dict[str, list[Path]]) -> None:
    kind = document_of(name)
    for path in files[name]:
        document = parse_document(json.dumps(_content(path), default=str), path, kind)
        if path.suffix == ".json" and name != "graph":
            assert document.model_dump(mode="json") == _content(path)


def _objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"": schema, **schema.get("$defs", {})}.items():
        yield name, part.get("properties", {})


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_says_what_every_field_is(name: str) -> None:
    schema = schema_of(name)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"].startswith(f"urn:pumice:schema:{name}:")
    assert schema["description"]
    silent = [
        f"{part}.{key}" for part, keys in _objects(schema) for key in keys if not keys[key].get("description")
    ]
    assert not silent


def test_the_command_prints_and_lists_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(SCHEMAS)
    assert max(map(len, listed)) <= 100
    assert main(["schema", "manifest"]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of("manifest")
    with pytest.raises(UnknownNameError, match="did you mean 'manifest'"):
        schema_of("manifets")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_of_another_version_says_what_to_do(name: str) -> None:
    kind = document_of(name)
    if not issubclass(kind, FileDocument):
        return
    for version, remedy in ((kind.VERSION - 1, f"'{kind.WRITTEN_BY}'"), (kind.VERSION + 1, "update pumice")):
        text = json.dumps({"format": kind.FORMAT, "version": version})
        with pytest.raises(FormatVersionError, match=f"format version {version}, .*{remedy}"):
            parse_document(text, Path("file"), kind)


def test_what_writes_a_file_is_what_is_advised() -> None:
    commands = {name: getattr(document_of(name), "WRITTEN_BY", "") for name in SCHEMAS}
    assert {name for name, command in commands.items() if command == "pumice compile"} == {
        "manifest",
        "quantization",
        "fidelity",
        "resources",
        "passes",
        "graph",
    }
    assert commands["run"] == commands["network"] == "pumice train"
    assert commands["pruning"] == "pumice prune"


def test_every_document_has_a_schema_or_is_internal_on_purpose() -> None:
    for package in (toolchain, targets):
        assert list(importable_modules(package))
    public = {document_of(name).__name__ for name in SCHEMAS}
    for name in SCHEMAS:
        public |= schema_of(name).get("$defs", {}).keys()
    ours = {
        kind.__name__
        for kind in _below(Document)
        if kind.__module__.startswith(("toolchain.", "targets.")) and "[" not in kind.__name__
    }
    hidden = {name for name in ours - public if name != "Sourced"}
    assert hidden == _INTERNAL.keys()


def _below(kind: type[Document]) -> Iterator[type[Document]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def test_an_experiment_of_the_tests_is_one(files: dict[str, list[Path]]) -> None:
    assert small_experiment().model_dump(mode="json") == _content(files["experiment"][0])
