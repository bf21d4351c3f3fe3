#!/usr/bin/env python3
"""Writes metric_delta_golden.csv: for every pair of stage_ft gauges the signed lag and Pearson's r at which the definition
(docs/methods.md, metric pairs) sees it, computed with NumPy from the last 28 h of the delta recording.

    python3 metric_delta_golden.py PATH/TO/delta/metrics.parquet > metric_delta_golden.csv

28 h are the window of now with its longest lag. The day that closed before is seen as well where enough of it lies in
them. It overlaps the window of now, so that it adds no evidence, but its lags are followed: a lag of it stands for the peak
of now where |r| is within 0.01 of that peak. Source and target are in the order of the better direction (the smaller name
first at lag 0). `opposite_*` is the other direction, where that is a candidate as well.
Needs numpy and pyarrow.
"""
import sys

import numpy as np
import pyarrow.parquet as pq

STEP_MS, WINDOW, LAGS, DAY_MS = 900_000, 96, 16, 86_400_000
ENTER, LEAVE, NEAR, TIE, NEEDED = 0.8, 0.75, 0.01, 1e-9, 0.8 * WINDOW

rows = pq.read_table(sys.argv[1]).to_pydict()
times = [int(round(time.timestamp() * 1000)) for time in rows["timestamp"]]
end = max(times)
values = {}
for colony, metric, time, mean in zip(rows["colony_id"], rows["metric_name"], times, rows["mean"]):
    if metric == "stage_ft" and time > end - (WINDOW + LAGS) * STEP_MS:
        values.setdefault(colony, {})[time // STEP_MS] = mean


def curve(a, b, last):
    """r at every signed lag (positive: a leads) of the window that ends with the slot `last`."""

    def slots(colony, back):
        return np.array([values[colony].get(slot - back, np.nan) for slot in range(last - WINDOW + 1, last + 1)], float)

    seen = [sum(last - WINDOW - LAGS < slot <= last for slot in values[colony]) for colony in (a, b)]
    out = {}
    for lag in range(-LAGS, LAGS + 1):
        x, y = slots(a, max(lag, 0)), slots(b, max(-lag, 0))
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() >= NEEDED and min(seen) >= NEEDED:
            out[lag] = np.corrcoef(x[both], y[both])[0, 1]
    return out


def peaks(r):
    """The greatest |r|, and that of the other direction if it is a peak of its own; each with the lags that stand for it."""

    def best(lags):
        lags = [lag for lag in lags if lag in r]
        top = max((abs(r[lag]) for lag in lags), default=0)
        return min((lag for lag in lags if abs(r[lag]) >= top - TIE), key=lambda lag: (abs(lag), lag < 0), default=None)

    def near(lag, way):
        while lag + way in r and abs(r[lag + way]) > floor:
            lag += way
        return lag

    main = best(r)
    found = []
    if main is not None and abs(r[main]) >= LEAVE:
        found.append(main)
        way = -1 if main >= 0 else 1
        other = best(way * lag for lag in range(1, LAGS + 1))
        if other is not None and abs(r[other]) >= LEAVE and abs(r[other]) >= abs(r.get(other - way, 0)):
            found.append(other)
    out = []
    for lag in found:
        floor = abs(r[lag]) - NEAR
        out.append((lag, near(lag, -1), near(lag, 1)))
    return out


present = end // 60_000 * 60_000 + 59_999
closed = [midnight - 1 for midnight in range(present // DAY_MS * DAY_MS - 7 * DAY_MS, present + 1, DAY_MS)]
instants = [at // STEP_MS for at in closed if at >= present - 7 * DAY_MS] + [present // STEP_MS]

print("source,target,lag_seconds,coefficient,opposite_lag_seconds,opposite_coefficient")
names = sorted(values)
for i, a in enumerate(names):
    for b in names[i + 1 :]:
        curves = [curve(a, b, last) for last in instants]
        stands = lambda lag, peak: (lag >= 0) == (peak[0] >= 0) and peak[1] <= lag <= peak[2]
        followed = []
        for peak in (peak for r in curves for peak in peaks(r)):
            if not any(stands(known, peak) for known in followed):
                followed.append(peak[0])
        counts, present_from, directions = set(), {True: ENTER, False: ENTER}, {}
        for r in curves:
            counts.update(lag for lag in followed if any(stands(lag, peak) for peak in peaks(r)))
            for forward in (True, False):
                lags = [lag for lag in counts if (lag >= 0) == forward and lag in r]
                top = max((abs(r[lag]) for lag in lags), default=0)
                is_present = top >= present_from[forward]
                present_from[forward] = LEAVE if is_present else ENTER
                best = min((lag for lag in lags if abs(r[lag]) >= top - TIE), key=abs, default=None)
                directions[forward] = best if is_present else None
        directions = {forward: lag for forward, lag in directions.items() if lag is not None}
        strength = lambda forward: (abs(r[directions[forward]]), -abs(directions[forward]), forward)
        better = max(directions, key=strength)
        lag = directions[better]
        other = directions.get(not better)
        ends = (a, b) if better else (b, a)
        opposite = "," if other is None else f"{abs(other) * 900},{r[other]:.12f}"
        print(f"{ends[0]},{ends[1]},{abs(lag) * 900},{r[lag]:.12f},{opposite}")
