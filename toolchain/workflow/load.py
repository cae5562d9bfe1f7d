"""Reading a build folder, and telling a run folder from it."""

from toolchain.errors import CorruptArtifactError
from toolchain.intake import PathText, path_of
from toolchain.memory import enough_memory
from toolchain.workflow.build_folder import Build
from toolchain.workflow.run_folder import is_run


@enough_memory("loading the build")
def load(folder: PathText) -> Build:
    """Read a build folder; see `Build.load`.

    Raises:
        CorruptArtifactError: The folder is a run, or was edited.
    """
    path = path_of(folder, "folder")
    if is_run(path):
        raise CorruptArtifactError(path, "is a run folder; compile it first")
    return Build.load(path)
