"""Rules of the code base that a tool can check."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import pumice
import targets
import toolchain
from tests.importable_modules import importable_modules
from toolchain import errors, passes
from toolchain.cli.main import app
from toolchain.ir import AnyNode
from toolchain.passes import Pass

_MODULE_LINES = 400
_PACKAGES = ("pumice", "toolchain", "targets")


def _sources(repository: Path, folders: tuple[str, ...] = _PACKAGES) -> list[Path]:
    return [path for name in folders for path in sorted((repository / name).rglob("*.py"))]


def test_a_pass_has_one_name_in_three_spellings() -> None:
    found = [item for item in vars(passes).values() if inspect.isclass(item) and issubclass(item, Pass)]
    concrete = [item for item in found if not inspect.isabstract(item)]
    assert len(concrete) >= 4
    for item in concrete:
        words = re.findall("[A-Z][a-z]+", item.__name__)
        assert item.name == "-".join(words).lower()
        assert item.__module__.rpartition(".")[2] == "_".join(words).lower()


@pytest.mark.parametrize("package", [pumice, toolchain, targets], ids=["pumice", "toolchain", "targets"])
def test_what_a_package_exports_exists(package: ModuleType) -> None:
    for module in importable_modules(package):
        exported = getattr(module, "__all__", None)
        if exported is not None:
            assert all(hasattr(module, name) for name in exported), module.__name__


def test_modules_stay_small(repository: Path) -> None:
    folders = (*_PACKAGES, "tests", "experiments", "examples", "docs")
    long = {
        str(path): n
        for path in _sources(repository, folders)
        if (n := len(path.read_text().splitlines())) > _MODULE_LINES
    }
    assert not long


def test_every_command_has_a_module_of_its_name_in_the_workflow(repository: Path) -> None:
    """Whoever looks for what a command does opens the file of that name."""
    commands = {
        command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands
    }
    assert {"compile", "show", "targets"} < commands
    modules = {path.stem for path in (repository / "toolchain" / "workflow").glob("*.py")}
    # A sweep is many workflows, and has a wing of its own.
    assert commands - {"sweep"} <= modules


def test_there_are_no_drawers_for_odds_and_ends(repository: Path) -> None:
    forbidden = {"utils", "common", "helpers", "misc"}
    assert not [
        path for path in _sources(repository) if path.stem in forbidden or path.parent.name in forbidden
    ]


def test_importing_the_core_loads_neither_torch_nor_lava() -> None:
    core = (
        "toolchain",
        "toolchain.target.protocol",
        "toolchain.ir",
        "toolchain.execution.reference",
        "toolchain.passes",
    )
    imports = "".join(f"import {name}; print(json.dumps(sorted(sys.modules)))\n" for name in core)
    code = f"import json, sys\n{imports}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, loaded in zip(core, done.stdout.splitlines(), strict=True):
        assert not set(json.loads(loaded)) & {"torch", "lava", "targets"}, name


@pytest.mark.parametrize("name", ["toolchain.workflow.targets", "toolchain.workflow.schema"])
def test_lists_for_people_need_nothing_that_is_slow_to_import(name: str) -> None:
    code = f"import json, sys, {name}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {"numpy", "scipy", "pydantic", "torch", "networkx"}


def test_the_lava_child_never_loads_torch() -> None:
    code = "import json, sys, targets.lava.worker; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in json.loads(done.stdout)


def test_what_is_exported_for_lava_imports_lava_numpy_and_itself_only(repository: Path) -> None:
    package = repository / "targets" / "lava" / "runtime"
    for path in package.rglob("*.py"):
        depth = len(path.relative_to(package).parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = set() if node.level else {str(node.module)}
                assert node.level <= depth, f"{path} leaves the package"
            else:
                continue
            roots = {name.partition(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "lava", "numpy", "scipy"}, path


def test_nothing_unpickles(trees: dict[str, ast.Module]) -> None:
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "joblib", "shelve", "dill", "cloudpickle"}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) != "torch.load", path


def test_only_the_command_line_speaks_of_options(trees: dict[str, ast.Module]) -> None:
    """A library message names an argument in backticks; `toolchain.cli` spells it as its option."""
    option, pip = re.compile(r"(?<![\w-])(--[a-z][a-z-]+|-[a-z] [A-Z]+\b)"), re.compile(r"\bpip install ")
    speakers = (
        "toolchain/cli/",
        "pumice/pytest_plugin.py",
        "targets/lava/runtime/",
        "targets/lava/network.py",
        "targets/rtl/fpga/host.py",
        # They speak to Yosys and nextpnr.
        "targets/rtl/fpga/implementation.py",
        "targets/rtl/fpga/tools.py",
    )
    for path, tree in trees.items():
        if path.startswith(speakers):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not pip.search(node.value):
                assert not option.search(node.value), f"{path}:{node.lineno}: {node.value}"


def test_only_one_module_decides_where_compiled_code_is_kept(repository: Path) -> None:
    wrong = re.compile(r"from numba import .*\b(n?jit|vectorize|guvectorize)\b|numba\.(n?jit|vectorize)\(")
    found = {
        path.relative_to(repository).as_posix()
        for path in _sources(repository)
        if wrong.search(path.read_text())
    }
    assert found == {"toolchain/compiled.py"}


@pytest.mark.parametrize(
    "handler",
    [
        "toolchain/execution/reference.py",
        "targets/emulator/tensors/session.py",
        "targets/emulator/compiled/network.py",
        "toolchain/passes/remove_dead_neurons.py",
        "toolchain/interchange/netx/to_netx.py",
        "toolchain/interchange/nir/to_nir.py",
        "targets/onnx/writer.py",
    ],
)
def test_every_operation_is_handled_where_operations_are_matched(handler: str, repository: Path) -> None:
    text = (repository / handler).read_text()
    for node in get_args(AnyNode):
        assert re.search(rf"\b{node.__name__}\(\)", text), f"{handler} does not match {node.__name__}"
    assert "assert_never" in text


def _error_classes() -> list[type[errors.ToolchainError]]:
    return [
        item
        for item in vars(errors).values()
        if inspect.isclass(item) and issubclass(item, errors.ToolchainError)
    ]


def test_every_error_is_drawn_in_the_tree_and_has_its_exit_code() -> None:
    for item in _error_classes():
        assert re.search(rf"\b{item.__name__}\b", errors.__doc__ or ""), item
        if issubclass(item, errors.UsageError):
            assert item.exit_code == 2
        elif item in {errors.FidelityError, errors.FaultyIntegersError, errors.SourceMismatchError}:
            assert item.exit_code == 4
        else:
            assert item.exit_code == 3


def test_every_error_is_expected_by_some_test(repository: Path) -> None:
    text = "\n".join(path.read_text() for path in (repository / "tests").rglob("test_*.py"))
    parents = {base for item in _error_classes() for base in item.__bases__}
    missing = [
        item.__name__ for item in _error_classes() if item not in parents and item.__name__ not in text
    ]
    # A post-condition is our own bug and cannot be provoked through the public calls.
    assert [name for name in missing if name != "PostconditionError"] == []


def test_the_repository_speaks_of_the_product_only(repository: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    machine_path = re.compile(r"(^|[^.a-zA-Z])/(home|opt|root|work)/")
    for name in tracked.stdout.split():
        path = repository / name
        if path.suffix in {".npz", ".safetensors"} or not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not machine_path.search(line) or "machine_path" in line, f"{name}: {line}"


def test_a_changelog_entry_exists_for_the_version(repository: Path) -> None:
    project = (repository / "pyproject.toml").read_text()
    found = re.search(r'^version = "(.*)"$', project, re.MULTILINE)
    assert found
    assert f"## {found.group(1)}" in (repository / "CHANGELOG.md").read_text()
