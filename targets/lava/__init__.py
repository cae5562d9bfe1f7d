"""Lava's CPU simulator. After importing this package a plain `import lava` works in the process."""

from targets.lava.runtime.compatibility import install

install()
