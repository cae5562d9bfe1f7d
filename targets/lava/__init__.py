"""Lava's CPU simulator. After importing this package a plain `import lava` works in the process."""

import targets.lava.runtime  # noqa: F401 - makes lava-nc importable
