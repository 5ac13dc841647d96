"""Writes table.parquet: one column of each type that data frames and data sets write.

Run: python table.py     (pyarrow 14 or later)
"""
import datetime as dt
import decimal
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

UTC = dt.timezone.utc
columns = {
    "image": pa.array(
        [{"bytes": b"\x89PNG first", "path": "a.png"}, {"bytes": None, "path": "b.png"}, None],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    ),
    "int8": pa.array([1, None, -3], pa.int8()),
    "uint16": pa.array([1, 2, 65535], pa.uint16()),
    "int64": pa.array([1, None, 3], pa.int64()),
    "big": pa.array([1, 9007199254740993, None], pa.int64()),
    "float32": pa.array([0.1, None, float("nan")], pa.float32()),
    "float64": pa.array([0.1, 1e300, float("nan")], pa.float64()),
    "bool": pa.array([True, None, False]),
    "string": pa.array(["a", "", None]),
    "large_string": pa.array(["a", "b", None], pa.large_string()),
    "category": pa.array(["left", "right", None]).dictionary_encode(),
    "date": pa.array([dt.date(2024, 5, 1), None, dt.date(1969, 12, 31)]),
    "stamp": pa.array([dt.datetime(2024, 5, 1, 13, 30, 0, 250000), None, None], pa.timestamp("us")),
    "zoned": pa.array([dt.datetime(2024, 5, 1, 13, 30, tzinfo=UTC), None, None], pa.timestamp("ns", "Europe/Berlin")),
    "time": pa.array([dt.time(13, 30, 5), None, None], pa.time64("us")),
    "decimal": pa.array([decimal.Decimal("12.50"), None, decimal.Decimal("-0.01")], pa.decimal128(10, 2)),
    "labels": pa.array([["cat", "dog"], [], None], pa.list_(pa.string())),
    "null": pa.array([None, None, None], pa.null()),
}
pq.write_table(pa.table(columns), pathlib.Path(__file__).with_name("table.parquet"), compression="zstd")
