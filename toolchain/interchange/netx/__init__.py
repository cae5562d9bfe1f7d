"""Netx files of Lava-DL, in and out."""
