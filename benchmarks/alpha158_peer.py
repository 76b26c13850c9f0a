"""Qlib's own Alpha158 handler over a folder in Qlib's format; run by `benchmarks/alpha158.py` in Qlib's interpreter.

Run: python benchmarks/alpha158_peer.py FOLDER PROCESSES PRECISION [RESULT]

PRECISION is `shipped` (columns stay float32, as Qlib reads them) or `float64` (columns are widened when read). RESULT,
if given, is a folder that gets names.json and values.npy, rows in order of instrument and day. Prints one line of JSON:
seconds and rows.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import qlib
from qlib.contrib.data.handler import Alpha158
from qlib.data.storage.file_storage import FileFeatureStorage


def widen() -> None:
    """Have columns read as float64."""
    read = FileFeatureStorage.__getitem__

    def wide(self, place):
        found = read(self, place)
        return found.astype(np.float64) if isinstance(place, slice) else found

    FileFeatureStorage.__getitem__ = wide


def main() -> None:
    folder, processes, precision, *result = sys.argv[1:]
    days = Path(folder, "calendars/day.txt").read_text().split()
    if precision == "float64":
        widen()
    started = time.perf_counter()
    qlib.init(provider_uri=folder, region="us", kernels=int(processes), logging_level=40)
    handler = Alpha158(
        instruments="all", start_time=days[0], end_time=days[-1], infer_processors=[], learn_processors=[]
    )
    values = handler.fetch(col_set="feature")
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": len(values)}), flush=True)
    if result:
        values = values.swaplevel().sort_index()
        Path(result[0], "names.json").write_text(json.dumps(list(values.columns)))
        np.save(Path(result[0], "values.npy"), values.to_numpy(np.float32))


if __name__ == "__main__":
    main()
