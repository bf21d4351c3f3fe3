"""Asks other programs what `benches/peers.rs` has answered, and prints the ratios: peers.py FOLDER.

Which pairs of series reach |r| at any lag in the last day? pyscamp and stumpy compute the correlation of every window of
one series with every window of the other, of which the question needs one row; so their time for a pair is compared
with ours, and beside it the coefficients that each computes a second. DuckDB gets the question as SQL.
"""

import json
import os
import sys
import time

import numpy as np


def fastest(work, least_s=0.5):
    """Seconds of the fastest round, and what the work gives."""
    began, best, given = time.perf_counter(), float("inf"), None
    while True:
        started = time.perf_counter()
        given = work()
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() - began >= least_s:
            return best, given


def agree(name, found, ours):
    """Stops where a peer's best r of a pair is another than ours."""
    apart = max(abs(a - b) for a, b in zip(found, ours["sample"]))
    if apart > 1e-4:
        sys.exit(f"{name} finds other correlations: {apart:.1e} apart")
    return apart


def of_pyscamp(values, ours):
    """Seconds a pair, and the greatest distance of its best r from ours."""
    import pyscamp

    window, threads = ours["window"], ours["threads"]

    def join(target, source):
        # the newest window of the target is the last row of the profile
        profile, _ = pyscamp.abjoin(target, source, window, pearson=True, threads=threads, gpus=[])
        return profile[-1]

    pairs = [(values[n], values[n + 1]) for n in range(len(ours["sample"]))]
    seconds, found = fastest(lambda: [join(late, early) for early, late in pairs])
    return seconds / len(pairs), agree("pyscamp", found, ours)


def of_stumpy(values, ours):
    """The same of stumpy."""
    import numba
    import stumpy

    window = ours["window"]
    numba.set_num_threads(min(ours["threads"], numba.config.NUMBA_NUM_THREADS))

    def join(target, source):
        profile = stumpy.stump(target, window, source, ignore_trivial=False)
        return 1.0 - float(profile[-1, 0]) ** 2 / (2.0 * window)

    pairs = [(values[n], values[n + 1]) for n in range(len(ours["sample"]))]
    join(*pairs[0])  # compiled once
    seconds, found = fastest(lambda: [join(late, early) for early, late in pairs])
    return seconds / len(pairs), agree("stumpy", found, ours)


def of_duckdb(values, ours):
    """Seconds for all pairs at all lags, and the pairs that it finds."""
    import duckdb

    window, lag_max, least = ours["window"], ours["lag_max"], ours["least"]
    series, slots = values.shape
    db = duckdb.connect(config={"threads": ours["threads"]})
    columns = {
        "id": np.repeat(np.arange(series, dtype=np.int32), slots),
        "t": np.tile(np.arange(slots, dtype=np.int32), series),
        "v": values.ravel(),
    }
    db.execute("CREATE TABLE m (id INTEGER, t INTEGER, v DOUBLE)")
    db.execute("INSERT INTO m SELECT unnest($id), unnest($t), unnest($v)", {k: v.tolist() for k, v in columns.items()})
    started = time.perf_counter()
    # one lag at a time, which was faster than all of them in one join and takes less memory
    found = set()
    for lag in range(lag_max + 1):
        rows = db.execute(
            """SELECT a.id, b.id FROM m a JOIN m b ON b.t = a.t + $lag AND a.id <> b.id
               WHERE b.t >= $first GROUP BY a.id, b.id HAVING abs(corr(a.v, b.v)) >= $least""",
            {"lag": lag, "first": slots - window, "least": least},
        ).fetchall()
        found.update((min(a, b), max(a, b)) for a, b in rows)
    return time.perf_counter() - started, len(found)


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "ours.json"), encoding="utf-8") as file:
        ours = json.load(file)
    values = np.fromfile(os.path.join(folder, "series.f64"), dtype="<f8").reshape(ours["series"], -1)
    series, lag_max = ours["series"], ours["lag_max"]
    pairs = series * (series - 1) // 2
    each = ours["seconds"] / pairs
    print(f"\n{ours['machine']}, {ours['threads']} threads, kernels {ours['path']}")
    print(f"N = {series}, W = {ours['window']}, L = {lag_max} both ways, |r| >= {ours['least']}, {ours['pairs_found']} pairs found")
    print("| | a pair, ms | ratio | million coefficients a second |")
    print("|---|---|---|---|")
    signed = 2 * lag_max + 1
    print(f"| coral-kernels, all lags both ways | {each * 1e3:.3f} | 1 | {signed / each / 1e6:.1f} |")
    alone = ours["seconds_one_thread"] / pairs
    print(f"| … on one thread | {alone * 1e3:.3f} | {each / alone:.2f} | {signed / alone / 1e6:.1f} |")
    print(f"| … sums moved on by a slot, kernel alone, one thread | | | {ours['slid_per_second'] / 1e6:.0f} |")
    for name, ask in [("pyscamp", of_pyscamp), ("stumpy", of_stumpy)]:
        try:
            seconds, apart = ask(values, ours)
        except ImportError as missing:
            print(f"SKIPPED {name}: {missing}")
            continue
        # one join answers one direction
        both = 2.0 * seconds
        rate = (lag_max + 1) ** 2 / seconds / 1e6
        print(f"| {name}, two joins (best r within {apart:.0e} of ours) | {both * 1e3:.2f} | {both / each:.1f} | {rate:.1f} |")
    try:
        seconds, found = of_duckdb(values, ours)
    except ImportError as missing:
        print(f"SKIPPED duckdb: {missing}")
        return
    if found != ours["pairs_found"]:
        sys.exit(f"DuckDB finds {found} pairs, we {ours['pairs_found']}")
    mine = seconds / pairs
    print(f"| DuckDB, corr() self-join, {seconds:.1f} s in all | {mine * 1e3:.2f} | {mine / each:.0f} | {signed / mine / 1e6:.2f} |")


if __name__ == "__main__":
    main()
