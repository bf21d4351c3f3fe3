#!/usr/bin/env python3
"""Writes metric_delta_golden.csv: for every pair of stage_ft gauges the best signed lag and Pearson's r there, computed
with NumPy from the last 24 h of the delta recording.

    python3 metric_delta_golden.py PATH/TO/delta/metrics.parquet > metric_delta_golden.csv

Source and target are in the order of the better direction (the smaller name first at lag 0). `opposite_*` is the best lag
and r of the other direction (lags of at least one step). Needs numpy and pyarrow.
"""
import sys

import numpy as np
import pyarrow.parquet as pq

STEP_MS, WINDOW, LAGS = 900_000, 96, 16

rows = pq.read_table(sys.argv[1]).to_pydict()
values = {}
end = 0
for colony, metric, time, mean in zip(rows["colony_id"], rows["metric_name"], rows["timestamp"], rows["mean"]):
    slot = int(round(time.timestamp() * 1000)) // STEP_MS
    end = max(end, slot)
    if metric == "stage_ft":
        values.setdefault(colony, {})[slot] = mean

SLOTS = range(end - WINDOW - LAGS + 1, end + 1)
series = {c: np.array([v.get(s, np.nan) for s in SLOTS]) for c, v in values.items()}


def r(source, target, lag):
    x = series[source][LAGS - lag : LAGS - lag + WINDOW]
    y = series[target][LAGS:]
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 0.8 * WINDOW:
        return np.nan
    return np.corrcoef(x[both], y[both])[0, 1]


print("source,target,lag_seconds,coefficient,opposite_lag_seconds,opposite_coefficient")
names = sorted(series)
for i, a in enumerate(names):
    for b in names[i + 1 :]:
        forth = [(abs(r(a, b, l)), -l, a, b, r(a, b, l)) for l in range(LAGS + 1)]
        back = [(abs(r(b, a, l)), -l, b, a, r(b, a, l)) for l in range(1, LAGS + 1)]
        best = max((c for c in forth + back if np.isfinite(c[0])), key=lambda c: c[:2])
        _, lag, source, target, coefficient = best
        others = [c for c in (r(target, source, l) for l in range(1, LAGS + 1))]
        other = int(np.nanargmax(np.abs(others)))
        print(f"{source},{target},{-lag * 900},{coefficient:.12f},{(other + 1) * 900},{others[other]:.12f}")
