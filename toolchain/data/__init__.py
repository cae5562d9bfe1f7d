"""Data sets, series and encoders."""

from toolchain.data.cifar import load_cifar10, load_cifar100
from toolchain.data.digits import load_digits
from toolchain.data.encoders import Encoding, encode
from toolchain.data.event_sources import EventData
from toolchain.data.events import Slicing, bin_events
from toolchain.data.images import Images, as_pictures, in_rows, normalised
from toolchain.data.recordings import Recordings
from toolchain.data.series import Series, lorenz63, mackey_glass, rossler
from toolchain.data.series_codes import SeriesCode, SeriesEncoding
from toolchain.data.series_file import load_csv

__all__ = [
    "Encoding",
    "EventData",
    "Images",
    "Recordings",
    "Series",
    "SeriesCode",
    "SeriesEncoding",
    "Slicing",
    "as_pictures",
    "bin_events",
    "encode",
    "in_rows",
    "load_cifar10",
    "load_cifar100",
    "load_csv",
    "load_digits",
    "lorenz63",
    "mackey_glass",
    "normalised",
    "rossler",
]
