"""The key by which the processes of a local cluster know one another.

A port of this machine is open to all of its users, and whoever can send a task to a worker acts as its owner.
So everything is encrypted with a key that lives as long as the cluster, in a folder of this user alone. It is
made by the command `openssl`; where there is none, the ports stay open to the users of the machine.
"""

import subprocess
from pathlib import Path
from typing import Any, Final

KEY: Final = "key.pem"
CERTIFICATE: Final = "certificate.pem"
_COMMAND: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=pumice "
    "-addext keyUsage=critical,digitalSignature,keyCertSign"
)
_MADE_S: Final = 60


def make_key(folder: Path) -> bool:
    """Write a key and its certificate; return whether there is a command that makes them."""
    command = [*_COMMAND.split(), "-keyout", str(folder / KEY), "-out", str(folder / CERTIFICATE)]
    try:
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_MADE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def security_of(folder: Path) -> Any:  # noqa: ANN401 - a class of a library that need not be there
    """Return how the processes of a folder speak with one another; None where no key was made."""
    from distributed import Security  # noqa: PLC0415 - need not be there where this module is imported

    key, certificate = folder / KEY, folder / CERTIFICATE
    if not certificate.exists():
        return None
    roles = {f"tls_{role}_key": str(key) for role in ("client", "scheduler", "worker")}
    roles |= {name.replace("key", "cert"): str(certificate) for name in roles}
    return Security(require_encryption=True, tls_ca_file=str(certificate), **roles)
