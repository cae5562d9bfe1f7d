"""Reading a build folder, and telling a run folder from it."""

from toolchain.errors import UsageError
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.workflow.build_folder import Build
from toolchain.workflow.run_folder import is_run


@enough_memory("loading the build")
def load(folder: PathText) -> Build:
    """Read a build folder; see `Build.load`.

    Raises:
        UsageError: The folder is a run.
        CorruptArtifactError: It was edited.
    """
    path = path_of(folder, "folder")
    if is_run(path):
        raise UsageError(
            f"'{path}' is a run, as 'pumice train' writes it, and no build",
            f"compile it first: 'pumice compile {path}', or `pumice.compile_run` in Python",
        )
    return Build.load(path)
