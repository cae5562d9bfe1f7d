"""Running as somebody whom permissions bind, also where the tests run as root."""

import os
import shutil

import pytest

_POWERS = "-dac_override,-dac_read_search,-fowner,-chown"


def ordinary(*command: str) -> list[str]:
    """Return a command whose process may only do what the permissions of files say."""
    if os.geteuid() != 0:
        return list(command)
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv here to give that up")
    return ["setpriv", f"--bounding-set={_POWERS}", *command]
