"""Writes event_golden.json: what the NumPy/SciPy reference of the event patterns says about varied pairs.

    python generate_event_golden.py > event_golden.json

Times are whole multiples of 1.875 s, which is exact in milliseconds and in minutes (1/32 min) as the reference counts
them, so that onsets exactly on a window's boundary are tested too.
"""
import json
import sys

import event_patterns as reference
import numpy as np

GRID_MS, MINUTE_MS, DAY_MS = 1875, 60_000, 86_400_000


def onsets(times_min, days):
    """Sorted, inside the span, on the grid, at least five minutes apart; in milliseconds."""
    ms = np.unique(np.round(np.asarray(times_min, float) * MINUTE_MS / GRID_MS).astype(np.int64) * GRID_MS)
    kept = []
    for at in ms[(ms >= 0) & (ms < days * DAY_MS)]:
        if not kept or at - kept[-1] >= 5 * MINUTE_MS:
            kept.append(int(at))
    return kept


def cases(rng):
    def uniform(count, days):
        return rng.uniform(0, days * 1440, count)

    def follow(source, share, lag, sd):
        kept = source[rng.uniform(size=len(source)) < share]
        return kept + np.maximum(0.05, rng.normal(lag, sd, len(kept)))

    def hours(count, days, peak):
        return rng.integers(0, days, count) * 1440 + (rng.normal(peak * 60, 90, count) % 1440)

    for days, n in ((30, 3), (30, 4), (30, 10), (30, 25), (60, 120), (365, 250)):
        source = uniform(n, days)
        for share, lag, sd in ((0.9, 17, 2), (0.6, 135, 10), (0.5, 0.5, 0.1), (0.0, 1, 1)):
            target = np.concatenate([follow(source, share, lag, sd), uniform(max(3, n // 2), days)])
            yield f"{n} sources in {days} days, {share} follow after {lag} min", days, source, target
    for days in (0.4, 0.7, 1, 2.5, 9, 13.5, 14.5, 29):
        source = uniform(int(6 * days + 6), days)
        yield f"span of {days} days", days, source, np.concatenate([follow(source, 0.8, 30, 4), uniform(4, days)])
    hourly = np.arange(0, 20 * 1440, 60.0)
    yield "hourly target, random source", 20, uniform(40, 20), hourly + 3
    yield "hourly source, hourly target on window boundaries", 20, hourly[::5], hourly[::7] + 4
    yield "half-hourly target with jitter", 20, uniform(60, 20), np.arange(0, 20 * 1440, 30.0) + rng.normal(0, 1, 960)
    yield "daily at the same minute", 30, np.arange(30) * 1440.0 + 600, np.arange(30) * 1440.0 + 616
    yield "daily habit of both", 40, hours(60, 40, 14), hours(80, 40, 14.5)
    weekly = np.arange(5) * 7 * 1440.0 + 700
    yield "weekly", 40, weekly, weekly + 20
    parents = uniform(12, 30)
    bursts = (parents[:, None] + rng.exponential(12, (12, 8))).ravel()
    yield "bursts of both", 30, bursts, (parents[:, None] + rng.exponential(12, (12, 8))).ravel() + 2
    yield "target before source", 30, parents + 40, parents
    last = 10 * 1440 - 240
    near_edges = np.array([250.0, 1450, 5010, last + 10])
    yield "just inside the eligible range", 10, np.array([240.0, 1440, 5000, last]), near_edges
    yield "just outside the eligible range", 10, np.array([239.96875, 1440, 5000, 7000, last + 1 / 32]), near_edges
    yield "too few sources", 10, np.array([2000.0, 4000]), uniform(20, 10)
    yield "too few targets", 10, uniform(20, 10), np.array([2000.0, 4000])
    yield "too short for any source", 0.3, uniform(8, 0.3), uniform(8, 0.3)
    yield "dense targets", 12, uniform(60, 12), uniform(1500, 12)
    dense = uniform(800, 20)
    yield "sources outnumber targets", 20, dense, follow(dense, 0.2, 120, 30)
    seconds = uniform(30, 20)
    yield "a lag of seconds", 20, seconds, np.concatenate([follow(seconds, 0.9, 0.25, 0.03), uniform(5, 20)])
    few = np.array([1, 3, 6]) * 1440.0 + 700
    yield "three of three", 21, few, np.concatenate([few + [134, 135, 137], uniform(3, 21)])
    five, last = np.array([20831.0, 23980, 25086, 35289, 39891]), 40030
    lags = np.array([135.6875, 136.125, 135.3125, 133.875, 136.4375])
    other = np.array([1437.53125, 7875.34375, 18264.75, 25124.53125, 25581.125, 31373.3125])
    yield "five of five, the best window holds four", last / 1440, five, np.concatenate([five + lags, other])
    yield "the last source is open but matched", 5, np.array([1000.0, 2900, 4700, 7150]), np.array([1030.5, 2931.25, 4729.25, 7180.5])
    rounds = np.concatenate([start + 30.0 * np.arange(12) for start in (540, 2500, 4700)])
    yield "rounds of a script", 5, rounds[::4], rounds[2::4] + 2
    yield "every two hours and twenty minutes", 10, np.arange(0, 14400, 140.0), np.arange(0, 14400, 140.0) + 33


def weights():
    """Prior weights of pairs of a few names, under a few calls each."""
    rng = np.random.default_rng(4)
    colonies, applications, services = ["c0", "c1", "c2"], ["", "shop", "bank", "news"], ["", "*", "cart", "pay", "mail"]
    out = []
    for _ in range(150):
        a, b = rng.choice(colonies, 2, replace=False)
        ends = [[str(colony), str(rng.choice(applications)), str(rng.choice(services)), "alert"] for colony in (a, b)]
        calls = [[str(rng.choice(colonies)), *map(str, rng.choice(services[2:], 2))] for _ in range(rng.integers(0, 4))]
        out.append(dict(source=ends[0], target=ends[1], calls=calls, weight=int(reference.prior_weight(*ends, calls))))
    return out


def main():
    rng = np.random.default_rng(20261122)
    pairs = []
    for name, days, source, target in cases(rng):
        span_ms = int(round(days * DAY_MS / GRID_MS)) * GRID_MS
        source_ms, target_ms = onsets(source, days), onsets(target, days)
        result = reference.analyse(np.array(source_ms) / MINUTE_MS, np.array(target_ms) / MINUTE_MS, span_ms / MINUTE_MS)
        if result is not None and result["log_e"] == -np.inf:
            result["log_e"] = None
        pairs.append(dict(name=name, span_ms=span_ms, source_ms=source_ms, target_ms=target_ms, expected=result))
    declared = []
    for size in (1, 5, 40, 400):
        values, weight = rng.normal(0, 4, size), rng.choice([1, 3, 10], size)
        declared.append(dict(log_e=list(map(float, values)), weights=list(map(int, weight)),
                             declared=[bool(x) for x in reference.ebh(values, weight, 0.05)]))
    json.dump(dict(pairs=pairs, declared=declared, weights=weights()), sys.stdout, indent=None, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
