"""Data sets, series and encoders."""

from toolchain.data.digits import Images, in_rows, load_digits
from toolchain.data.encoders import Encoding, encode
from toolchain.data.series import Series, load_csv, lorenz63, mackey_glass, rossler
from toolchain.data.series_codes import SeriesCode, SeriesEncoding

__all__ = [
    "Encoding",
    "Images",
    "Series",
    "SeriesCode",
    "SeriesEncoding",
    "encode",
    "in_rows",
    "load_csv",
    "load_digits",
    "lorenz63",
    "mackey_glass",
    "rossler",
]
