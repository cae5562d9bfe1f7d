"""Only `make frameworks` imports the frameworks: neither doctests nor other tests collect these modules."""

collect_ignore_glob = [
    "*_cells.py",
    "cells.py",
    "module_cases*.py",
    "snntorch_modules.py",
    "random_*.py",
    "networks.py",
    "lava_models.py",
    "netx_weights.py",
    "run_netx.py",
]
