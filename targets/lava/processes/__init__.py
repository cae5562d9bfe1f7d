"""Lava processes of our own.

They live alone here: to find the models of a process, Lava imports every file in the folder of its class.
"""
