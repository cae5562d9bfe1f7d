"""Data sets, series and encoders."""

from toolchain.data.codes.encoders import Encoding, encode
from toolchain.data.codes.series_codes import SeriesCode, SeriesEncoding
from toolchain.data.events.binning import Slicing, bin_events
from toolchain.data.events.event_sources import EventData
from toolchain.data.events.recordings import Recordings
from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.data.new_samples.raw_samples import RawSamples
from toolchain.data.pictures.cifar import load_cifar10
from toolchain.data.pictures.digits import load_digits
from toolchain.data.pictures.images import Images, as_pictures, in_rows
from toolchain.data.series.series import Series, lorenz63, mackey_glass, rossler
from toolchain.data.series.windows import windows_of
from toolchain.data.sets.data_set import DataOrigin, DataSet, Part, SampleKind
from toolchain.data.sets.opening import open_data
from toolchain.data.tables.series_file import load_csv
from toolchain.data.tables.table import TableForm

__all__ = [
    "DataOrigin",
    "DataSet",
    "Encoding",
    "EventData",
    "Images",
    "Part",
    "RawEncoder",
    "RawSamples",
    "Recordings",
    "SampleKind",
    "Series",
    "SeriesCode",
    "SeriesEncoding",
    "Slicing",
    "TableForm",
    "as_pictures",
    "bin_events",
    "encode",
    "in_rows",
    "load_cifar10",
    "load_csv",
    "load_digits",
    "lorenz63",
    "mackey_glass",
    "open_data",
    "rossler",
    "windows_of",
]
