"""Data sets and encoders."""

from toolchain.data.digits import Images, load_digits
from toolchain.data.encoders import Encoding, encode

__all__ = ["Encoding", "Images", "encode", "load_digits"]
