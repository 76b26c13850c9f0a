"""Daily features in a library that wants an environment of its own; run by `benchmarks/features.py --peers PYTHON`.

Run: python benchmarks/features_peer.py LIBRARY BARS RESULT

LIBRARY is `vectorbt` (11 features, whole columns at once, compiled code) or `pandas_ta_classic` (25, one symbol at a
time; functions of TA-Lib that it would call where it finds them are turned off). BARS is an .npz file of open, high,
low, close and volume, shape (n_symbols, n_sessions) each; RESULT gets the features of the first symbol that ours define
alike. Prints one line of JSON: the version, features, rows, seconds of the first call, which compiles, and the least
seconds and processor time of four.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

YEAR = 252
# Symbols given to pandas-ta, which takes them one by one.
FEW = 40


def vectorbt_features(bars: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """Eleven; its strength index is smoothed otherwise than Wilder's."""
    vbt = importlib.import_module("vectorbt")
    close, volume = (pd.DataFrame(bars[name].T) for name in ("close", "volume"))
    move = np.log(close / close.shift())
    means = vbt.MA.run(close, [5, 20, 60, 200]).ma
    bands = vbt.BBANDS.run(close, 20)
    spreads = vbt.MSTD.run(move, [21, 63], ddof=1).mstd
    found = {f"dist_sma_{window}": means[window] for window in (5, 20, 60, 200)}
    found |= {f"realised_vol_{window}": spreads[window] for window in (21, 63)}
    found["bollinger_b_20"], found["bollinger_width_20"] = bands.percent_b, bands.bandwidth
    found["rsi_14"] = vbt.RSI.run(close, 14, ewm=True).rsi
    found["macd_hist"] = vbt.MACD.run(close, macd_ewm=True, signal_ewm=True).hist
    found["volume_z_20"] = vbt.MSTD.run(volume, 20, ddof=1).mstd
    return found


def vectorbt_alike(bars: dict[str, np.ndarray], found: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """The first symbol's, finished to our definitions where they are ours."""
    own = {name: value.iloc[:, 0].to_numpy() for name, value in found.items()}
    close, volume = bars["close"][0], pd.Series(bars["volume"][0])
    alike = {name: close / own[name] - 1 for name in own if name.startswith("dist_sma")}
    alike |= {name: own[name] * YEAR**0.5 for name in own if name.startswith("realised_vol")}
    alike["macd_hist"] = own["macd_hist"] / close
    alike["volume_z_20"] = ((volume - volume.rolling(20).mean()) / own["volume_z_20"]).to_numpy()
    return alike | {name: own[name] for name in ("bollinger_b_20", "bollinger_width_20")}


def pandas_ta_features(bars: dict[str, np.ndarray]) -> list[pd.DataFrame]:
    """25 indicators of each symbol, as pandas-ta names them."""
    return [
        pd.DataFrame(dict(_pandas_ta_symbol({name: pd.Series(value[place]) for name, value in bars.items()})))
        for place in range(len(bars["close"]))
    ]


def _pandas_ta_symbol(own: dict[str, pd.Series]) -> Iterator[tuple[str, pd.Series]]:
    ta = importlib.import_module("pandas_ta_classic")
    high, low, close, volume = (own[name] for name in ("high", "low", "close", "volume"))
    for window in (1, 5, 21, 63, 126, 252):
        yield f"ret_{window}", ta.percent_return(close, length=window)
    yield "mom_12_1", ta.percent_return(close, length=YEAR - 21).shift(21)
    for window in (5, 20, 60, 200):
        yield f"dist_sma_{window}", ta.sma(close, length=window, talib=False)
    yield "rsi_14", ta.rsi(close, length=14, talib=False)
    yield "macd_hist", ta.macd(close, talib=False).iloc[:, 1]
    bands = ta.bbands(close, length=20, std=2, talib=False)
    yield "bollinger_width_20", bands.iloc[:, 3]
    yield "bollinger_b_20", bands.iloc[:, 4]
    yield "atr_14", ta.atr(high, low, close, length=14, talib=False)
    move = ta.log_return(close)
    for window in (21, 63):
        yield f"realised_vol_{window}", ta.stdev(move, length=window, ddof=1, talib=False)
    yield "parkinson_vol_21", ta.sma(np.log(high / low) ** 2, length=21, talib=False)
    yield "volume_z_20", ta.zscore(volume, length=20)
    yield "log_dollar_volume", np.log(close * volume)
    yield "amihud_21", ta.sma(move.abs() / (close * volume), length=21, talib=False)
    yield "overnight_gap", own["open"] / close.shift() - 1
    # No market in it: two of as much work, over as long a window.
    yield "slope", ta.linreg(close, length=YEAR, slope=True, talib=False)
    yield "spread", ta.variance(close, length=YEAR, talib=False)


def pandas_ta_alike(bars: dict[str, np.ndarray], found: list[pd.DataFrame]) -> dict[str, np.ndarray]:
    """The first symbol's, finished to our definitions where they are ours."""
    own = {str(name): found[0][name].to_numpy() for name in found[0]}
    close = bars["close"][0]
    alike = {name: own[name] for name in own if name.startswith(("ret_", "mom_", "rsi_", "log_", "overnight"))}
    alike |= {name: close / own[name] - 1 for name in own if name.startswith("dist_sma")}
    alike |= {name: own[name] * YEAR**0.5 for name in own if name.startswith("realised_vol")}
    alike |= {name: own[name] / close for name in ("macd_hist", "atr_14")}
    return alike | {"bollinger_width_20": own["bollinger_width_20"] / 100, "bollinger_b_20": own["bollinger_b_20"]}


Bars = dict[str, np.ndarray]
LIBRARIES: dict[str, tuple[Callable[[Bars], Any], Callable[[Bars, Any], dict[str, np.ndarray]], str, int | None]] = {
    "vectorbt": (vectorbt_features, vectorbt_alike, "vectorbt", None),
    "pandas_ta_classic": (pandas_ta_features, pandas_ta_alike, "pandas-ta-classic", FEW),
}


def main() -> None:
    library, path, result = sys.argv[1:]
    work, alike, distribution, most = LIBRARIES[library]
    importlib.import_module(library)
    with np.load(path) as file:
        bars = {name: file[name][:most] for name in file.files}
    seconds, used = [], []
    for _ in range(4):
        started, before = time.perf_counter(), time.process_time()
        found = work(bars)
        seconds.append(time.perf_counter() - started)
        used.append(time.process_time() - before)
    np.savez(result, **alike(bars, found))
    told = {"version": version(distribution), "rows": bars["close"].size, "cold": seconds[0], "seconds": min(seconds)}
    told["used"] = min(used)
    told["features"] = len(found) if isinstance(found, dict) else found[0].shape[1]
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
