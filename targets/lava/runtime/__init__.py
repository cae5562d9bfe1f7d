"""Runs a network on Lava, from two files that describe it: `network.json` and `weights.npz`.

Every run of ours uses this package, and every exported network holds a copy of it beside those two files. So
it needs lava-nc, NumPy, SciPy and the standard library only, and its modules import one another relatively:
in a copy the package has another name.

After importing it a plain `import lava` works in the process.
"""

from .compatibility import install

install()
