"""Tests mirror the two packages; lava-nc installs a package of this name too, so ours must be one."""
