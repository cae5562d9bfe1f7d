"""Lava processes of our own, each alone in the `__init__.py` of a package.

To find the models of a process, Lava executes every module in the folder of its class, once for each of them
and anew for each process, as if it belonged to no package. A package that holds nothing else has none, and
the models beside the class are found first anyway.
"""
