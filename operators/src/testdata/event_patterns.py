"""Event patterns, the definition of docs/methods.md: slow and clear, in NumPy and SciPy.

    python event_patterns.py events.ndjson [--horizon-days 30] [--alpha .05]     prints the patterns as JSON

Times are minutes since the first event; `phase` is the clock time of minute 0. Every count is a count of pairs (source, target)
with lag = target - source in (a, b], taken from one table per pair of types, so that both ends use the same numbers.
"""
import argparse
import json
import sys

import numpy as np
from scipy.special import logsumexp

L, DAY, GRID = 240, 1440.0, np.arange(-240, 241)
WIDTHS = (2, 4, 8, 16, 32, 64, 128, 240)
SLOT = 15                                                                       # another lag is looked for in slots of this length
SHIFTS = ((1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13), (7, 14, 21, 28))       # days; weeks
THETA = np.array([.03, .06, .12, .2, .3, .4, .5, .6, .7, .8, .9, .96])      # share of units that the effect explains


def _windows():
    out = []
    for w in WIDTHS:
        starts = list(range(0, L - w + 1, max(1, w // 2))) or [0]
        out += [(a, a + w, 1.0 / (len(WIDTHS) * len(starts))) for a in starts]
    return np.array(out, float)


A, B_, PI = _windows().T
A, B_ = A.astype(int), B_.astype(int)
W = B_ - A


def episodes(t, rho=5.0):
    t = np.sort(np.asarray(t, float))
    return t if len(t) == 0 else t[np.r_[True, np.diff(t) >= rho]]


def hour_profile(B, T, phase):
    days = T / DAY
    c = np.bincount((((B + phase) % DAY) // 60).astype(int), minlength=24).astype(float)
    c = (np.roll(c, 1) + 2 * c + np.roll(c, -1)) / 4
    return ((c * days + len(B) / 24 * 2.0) / (days + 2.0)) / (60 * max(days, 1e-9))


def minute_factor(B, phase):
    m = (B + phase) % 60
    z = max(abs(np.exp(2j * np.pi * h * m / 60.0).sum()) ** 2 / len(B) for h in (1, 2, 3, 4, 6, 12))
    if z <= 8.7:
        return np.ones(60)
    C = np.bincount(m.astype(int) % 60, minlength=60).astype(float)
    mean = len(B) / 60
    a = 3 * mean / (3 + mean)
    return np.maximum(1.0, (np.maximum(C + np.sqrt(C), (np.roll(C, 1) + C + np.roll(C, -1)) / 3) + a) / (mean + a))


def chance(S, B, T, phase, H):
    """m per window: expected targets per source by chance. H(l) = number of pairs with lag <= l, l in -240..240."""
    n = len(S)
    flat = W * len(B) / T                                                                     # (i) flat
    rate = np.tile(np.repeat(hour_profile(B, T, phase), 60) * np.tile(minute_factor(B, phase), 24), 2)
    cum = np.r_[0, np.cumsum(rate)]
    i0 = (((S + phase) % DAY)[:, None] + A).astype(int)
    m = np.maximum(flat, (cum[i0 + W] - cum[i0]).mean(0))                                      # (ii) hour of day, minute of hour
    at = lambda l: H[np.clip(l, -L, L) + L]
    margin, half = W + np.maximum(4 * W, 60), W // 2                                           # (iii) hollowed flank
    o0, o1, g0, g1 = A - margin, B_ + margin, A - half, B_ + half
    length = np.maximum((np.clip(o1, -L, L) - np.clip(o0, -L, L)) - (np.clip(g1, -L, L) - np.clip(g0, -L, L)), 1)
    cnt = (at(o1) - at(o0)) - (at(g1) - at(g0))
    flank = W * (cnt + 1) / (n * length + T / max(len(B), 1))                                   # one event of prior exposure
    mu = n * length * m / W
    beyond = np.clip((cnt - mu) / np.sqrt(mu + .5) - 1, 0, 1)                                   # 1 sd: noise; from 2 sd on it holds
    m = m + np.maximum(flank - m, 0) * beyond
    margin = np.maximum(16 - W, 0) // 2                                                         # (iv) mirrored lags, of 16 min at least
    low, high = np.maximum(A - margin, 0), np.minimum(B_ + margin, L)
    h, share = at(-low) - at(-high), W / (high - low)
    mu = n * m / share
    beyond = np.where(A < 60, 1, np.clip((h - mu) / np.sqrt(mu + .5) - 1, 0, 1))               # far from 0: as the flank
    return m + np.maximum(share * (h + 5 * m / share) / (n + 5) - m, 0) * beyond


def moved(S, B, T, m):
    """(v) same time on other days and weeks, pulled towards the model by ten imagined sources; believed as they are where they
    contradict it. Taken from the window and from its wider surroundings: few moved sources hit a narrow window, or none."""
    lags = np.sort((B[None, :] - S[:, None]).ravel())
    best, prior = m, m
    margin = (np.maximum(4 * W, 16) - W) // 2
    wide_a, wide_b = np.maximum(A - margin, 0), np.minimum(B_ + margin, L)
    share = W / (wide_b - wide_a)

    def pulled(hit, seen, prior):
        against = hit - seen * prior > 3 * np.sqrt(seen * prior + .5)
        return np.where(against, (hit + prior) / (seen + 1), (np.maximum(hit - np.sqrt(hit), 0) + 10 * prior) / (seen + 10))

    for group in SHIFTS:
        hit, wide, seen = np.zeros(len(W)), np.zeros(len(W)), np.zeros(len(W))
        for d in group:
            for x in (-d * DAY, d * DAY):
                cum = np.searchsorted(lags, x + np.arange(0, L + 1), "right")
                hit += cum[B_] - cum[A]
                wide += cum[wide_b] - cum[wide_a]
                mid = x + (A + B_) / 2                                                         # the window's middle is observed
                seen += np.maximum(np.searchsorted(S, T - mid, "right") - np.searchsorted(S, -mid, "left"), 0)
        prior = np.maximum(pulled(hit, seen, prior), share * pulled(wide, seen, prior / share))
        best = np.maximum(best, prior)
    return best


def beats(H, n, m, flat):
    """(vi) another lag, ahead or behind, that carries evidence of its own is chance for this one. flat: targets per minute."""
    out, locked = m.copy(), np.zeros(len(m), bool)
    own = (H[B_ + L] - H[A + L]).astype(float)

    def fullest(v, far, at):                                                                    # slot of v minutes, far from the window
        start = np.arange(-L, L - v + 1)
        cnt = (H[start + v + L] - H[start + L]).astype(float)
        left, right = np.r_[0, np.maximum.accumulate(cnt)], np.r_[np.maximum.accumulate(cnt[::-1])[::-1], 0]
        return np.maximum(left[np.clip(at - far + L + 1, 0, len(cnt))], right[np.clip(at + far + L, 0, len(cnt))])

    for w in WIDTHS[:-1]:
        j, v = np.flatnonzero(W == w), max(w, SLOT)
        far = int(max(1.5 * v, 25))
        t, mu = fullest(v, far, A[j] - (v - w) // 2), n * m[j] * v / w
        a = (t - mu) / np.sqrt(mu + .5) > 3
        out[j] = np.where(a, np.maximum(out[j], t / n), out[j])
        t, mu = np.minimum(fullest(SLOT, far, A[j]), fullest(SLOT, far, B_[j] - SLOT)) if w > SLOT else t, n * flat * SLOT
        b = ((t - mu) / np.sqrt(mu + .5) > 4) & (t >= .5 * own[j])
        out[j] = np.where(b, np.maximum(out[j], t / n), out[j])
        locked[j] = a | b
    return out, locked


def regular(S):
    """Whether gaps repeat (a beat, a script): a slot of 15 min of the autocorrelogram stands out of its surroundings. From 30
    onsets on it must do so on the square-root scale too (Anscombe 1948): small counts are skewed."""
    cum = np.searchsorted(S, S[:, None] + np.arange(0, L + 1), "right").sum(0)
    start = np.arange(15, L - 14)
    count = (cum[start + 15] - cum[start]).astype(float)
    o0, o1, g0, g1 = np.maximum(start - 60, 15), np.minimum(start + 75, L), np.maximum(start - 15, 15), np.minimum(start + 30, L)
    mu = ((cum[o1] - cum[o0]) - (cum[g1] - cum[g0])) * 15 / ((o1 - o0) - (g1 - g0))
    root = 2 * (np.sqrt(count + .375) - np.sqrt(mu + .375))
    return bool((((count - mu) / np.sqrt(mu + .5) > 4) & ((root > 3.5) | (len(S) < 30))).any())


def periodic(S):
    """Whether at least half of the gaps lie within 7.5 min of the median gap, which is at least L, and more than in a Poisson stream."""
    gap = np.diff(S)
    mean, middle = gap.mean(), np.sort(gap)[(len(gap) - 1) // 2]
    near, mu = (abs(gap - middle) <= 7.5).sum(), len(gap) * 15 / mean * np.exp(-middle / mean)
    return bool(middle >= L and near >= 4 and 2 * near >= len(gap) and (near - mu) / np.sqrt(mu + .5) > 4)


def units(S, T):
    """Starts of the units, and whether they are more than one onset. In a regular stream: sessions; in a periodic one: all of it.
    In a bursty one, which has more short gaps than other days at the same time: onsets closer than a quarter of the mean gap."""
    gap = np.diff(S)
    if periodic(S):
        return np.array([0]), True
    if regular(S):
        return np.flatnonzero(np.r_[True, gap >= L]), True
    link = min(60.0, .25 * T / len(S))
    flat, moved = link * len(S) / T, [S[:-1] + d * DAY for k in range(1, int(np.ceil(T / DAY))) for d in (-k, k)]
    observed = [(at >= 0) & (at + link <= T) for at in moved]
    followed = [np.searchsorted(S, at + link, "right") - np.searchsorted(S, at, "right") for at in moved]
    seen, hit = sum(observed, 2.0), sum((np.where(o, f, 0) for o, f in zip(observed, followed)), 2.0 * flat)   # two imagined days
    expected = (1 - np.exp(-np.maximum(hit / seen, flat))).sum() if len(moved) else len(gap) * (1 - np.exp(-flat))
    if 2 * (np.sqrt((gap < link).sum() + .375) - np.sqrt(expected + .375)) <= 2:                # Anscombe: small counts are skewed
        return np.arange(len(S)), False
    return np.flatnonzero(np.r_[True, gap >= link]), True


def side(S, B, T, phase):
    """log e per window and m: the units are those of S, the counts are targets in s + (a, b]."""
    cum = np.searchsorted(B, S[:, None] + np.arange(0, L + 1), "right")
    X = (cum[:, B_] - cum[:, A]).astype(float)                                                  # sources x windows
    ok = S[:, None] + B_ <= T                                                                   # the window has passed
    low = np.searchsorted(B, S[:, None] + GRID, "right")
    H = low.sum(0) - low[:, 0].sum()
    m, locked = beats(H, len(S), moved(S, B, T, chance(S, B, T, phase, H)), len(B) / T)
    m = np.maximum(m, 1e-9)
    first, bursty = units(S, T)
    loge = evidence(X, ok, m, first)
    if locked.any():                                                                            # locked: one session is one unit
        session = np.flatnonzero(np.r_[True, np.diff(S) >= L])
        loge[locked] = evidence(X[:, locked], ok[:, locked], m[locked], session)
    return loge, m, bursty


def evidence(X, ok, m, first):
    """log of the mixture over theta of the product over units of 1 - theta + theta * (mean count in the unit) / m."""
    size = np.add.reduceat(ok.astype(float), first, 0)
    y = np.where(size > 0, np.add.reduceat(np.where(ok, X, 0), first, 0) / np.maximum(size, 1), 0)
    factor = np.where(size > 0, y / m - 1, 0)
    loge = logsumexp([np.log1p(th * factor).sum(0) for th in THETA], axis=0) - np.log(len(THETA))
    return np.where(y.sum(0) > (size > 0).sum(0) * m * (1 + 1e-9), loge, -np.inf)                # not above chance: E = 0


def match(S, B, a, b):
    """Largest one-to-one matching with lag in (a, b]: pairs (i, j)."""
    out, j = [], 0
    for i, s in enumerate(S):
        while j < len(B) and B[j] <= s + a:
            j += 1
        if j < len(B) and B[j] <= s + b:
            out.append((i, j)); j += 1
    return out


def shown(S, B, a, b, m):
    """Where occurrences are counted: (a, b], or half as wide again on both sides where most of what that adds is no chance."""
    pad = max((b - a) // 2, 2)
    c, d = max(a - pad, 0), min(b + pad, L)
    near, wide = match(S, B, a, b), match(S, B, c, d)
    by_chance = len(S) * m * ((d - c) / (b - a) - 1)
    return (c, d, wide, m * (d - c) / (b - a)) if len(wide) - len(near) > (2 + 1e-9) * by_chance else (a, b, near, m)


def lag_law(S, B, a, b, m):
    """Median and quartiles of the excess over chance: all lags around (a, b], each weighted by its posterior share of being no
    chance (one bell over a flat background, EM), started at the excess inside (a, b], as wide as the bell of which such a
    window holds most evidence (2.8 sd). No matching is involved."""
    w = b - a
    lo, hi = max(0, a - max(w, 90)), min(L, b + max(w, 90))
    i0, i1 = np.searchsorted(B, S + lo, "right"), np.searchsorted(B, S + hi, "right")
    x = np.sort(np.concatenate([B[p:q] - s for s, p, q in zip(S, i0, i1)])) if len(S) else np.array([])
    if len(x) < 2:
        return (float(x[0]),) * 3 if len(x) else (float(a), float(a + b) / 2, float(b))
    inside, chance_in = x[(x > a) & (x <= b)], len(S) * m
    extra, by_chance = max(len(inside) - chance_in, .1 * len(inside), 1), min(chance_in, .9 * len(inside))
    at = (a + b) / 2
    if len(inside):
        at = np.clip((inside.sum() - by_chance * at) / max(len(inside) - by_chance, 1), a, b)
    sd0 = w / 2.8
    sd, share, pull = sd0, min(extra / len(x), .999), .1 * chance_in                            # many chance pairs: stay near the window's width
    for _ in range(80):
        bell = share * np.exp(-.5 * ((x - at) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        r = bell / (bell + (1 - share) / (hi - lo))
        at, share = (r * x).sum() / r.sum(), float(np.clip(r.mean(), .01, .999))
        sd = max(np.sqrt(((r * (x - at) ** 2).sum() + pull * sd0 ** 2) / (r.sum() + pull)), .02)
    c = (np.cumsum(r) - r / 2) / r.sum()
    return tuple(float(np.interp(q, c, x)) for q in (.25, .5, .75))


def glance(S, B, T):
    """Even against the flat rate, without the cost of theta, is there evidence?"""
    cum = np.searchsorted(B, S[:, None] + np.arange(0, L + 1), "right")
    k = (cum[:, B_] > cum[:, A]).sum(0)
    n, p = len(S), 1 - np.exp(-W * len(B) / T)
    f = k / n
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(k > 0, k * np.log(f / p), 0) + np.where(k < n, (n - k) * np.log((1 - f) / (1 - p)), 0)
    return k.max() >= 3 and logsumexp(np.where(f > p, kl, 0) + np.log(PI)) >= 1


def analyse(S, B, T, phase=0.0, rho=5.0):
    S, B = episodes(S, rho), episodes(B, rho)
    if len(S) < 3 or len(B) < 3:
        return None
    by_source, m, bursty_s = side(S, B, T, phase)
    by_target, _, bursty_t = side(T - B[::-1], T - S[::-1], T, (-(T + phase)) % DAY)            # the same from the target's end
    if bursty_s and bursty_t:
        e = np.minimum(by_source, by_target)
    elif bursty_s or bursty_t:
        e = by_target if bursty_s else by_source
    else:
        e = np.logaddexp(by_source, by_target) - np.log(2)
    x = e + np.log(PI)
    j = int((x >= x.max() - 1e-9).argmax())
    if x[j] == -np.inf:                                                                         # no evidence: the fullest beside chance
        own = np.array([((B[None, :] - S[:, None] > a) & (B[None, :] - S[:, None] <= b)).sum() for a, b in zip(A, B_)])
        beside = (own + 1) / (len(S) * m + 1)
        j = int((beside >= beside.max() - 1e-9).argmax())
    a, b = int(A[j]), int(B_[j])
    c, d, pairs, m_shown = shown(S, B, a, b, m[j])
    passed = int((S + d <= T).sum())
    early = [i for i, _ in pairs if i >= passed]                                                # matched already
    decided = np.r_[S[:passed], S[early]] if early else S[:passed]
    p0 = float(1 - np.exp(-m_shown))
    share = sum(i < passed for i, _ in pairs) / passed if passed else 0.0
    return dict(log_e=float(logsumexp(x)) if glance(S, B, T) else -np.inf, n=len(decided), k=len(pairs), open=len(S) - len(decided),
                days=len({int((S[i] + phase) // DAY) for i, _ in pairs}), window=(a, b), shown=(c, d), chance=p0,
                lag=lag_law(decided, B, a, b, m[j]), score=float(max(0.0, (share - p0) / max(1 - p0, 1e-9))))


def ebh(log_e, weight=None, alpha=0.05):
    """Weighted e-BH: e-BH on w*E, the weights normalised to sum to the number of pairs."""
    log_e = np.asarray(log_e, float); K = len(log_e)
    if weight is not None:
        w = np.asarray(weight, float)
        log_e = log_e + np.log(w * K / w.sum())
    order = np.argsort(-log_e)
    ok = np.flatnonzero(log_e[order] >= np.log(K / (alpha * np.arange(1, K + 1))))
    out = np.zeros(K, bool)
    if len(ok):
        out[order[: ok[-1] + 1]] = True
    return out


def prior_weight(a, b, calls=()):
    """a, b: (colony, application, service, type); calls: (colony, from service, to service). Reason to look: one application in
    two environments, or a call between the services of which the colony of either tells; then one service name."""
    linked = any(c in (a[0], b[0]) and {x, y} == {a[2], b[2]} for c, x, y in calls if x != y)
    return 10.0 if (a[1] and a[1] == b[1]) or linked else 3.0 if a[2] and a[2] == b[2] != "*" else 1.0


def pairs_of(types, T, phase, alpha=.05, calls=()):
    """types: {(colony, application, service, type): times}. Returns [(a, b, result, confirmed)] over all eligible cross-colony pairs."""
    general = {}
    for (colony, application, service, kind), times in types.items():
        general.setdefault((colony, application, "*", kind), []).append(times)
    types = types | {key: np.sort(np.concatenate(parts)) for key, parts in general.items() if len(parts) > 1}
    rows = [(a, b, r) for a in types for b in types if a[0] != b[0] and (r := analyse(types[a], types[b], T, phase)) is not None]
    if not rows:
        return []
    yes = ebh([r["log_e"] for *_, r in rows], [prior_weight(a, b, calls) for a, b, _ in rows], alpha)
    return [(a, b, r, bool(y) and r["k"] >= 3 and r["days"] >= 3) for (a, b, r), y in zip(rows, yes)]


def read(path, horizon_days=None):
    times = {}
    with open(path) as lines:
        for line in lines:
            e = json.loads(line)
            t = np.datetime64(e["timestamp"].rstrip("Z"), "ms").astype("int64") / 60000.0
            times.setdefault((e["colony_id"], e.get("application_name") or "", e.get("service_id") or "", e["event_type"]), []).append(t)
    last = max(max(v) for v in times.values()); first = min(min(v) for v in times.values())
    if horizon_days:
        first = max(first, last - horizon_days * DAY)
    return {k: np.sort([x - first for x in v if x >= first]) for k, v in times.items()}, last - first, first % DAY


if __name__ == "__main__":
    p = argparse.ArgumentParser(); p.add_argument("events"); p.add_argument("--horizon-days", type=float); p.add_argument("--alpha", type=float, default=.05)
    o = p.parse_args()
    types, T, phase = read(o.events, o.horizon_days)
    found = [dict(source=a, target=b, confirmed=y, **r) for a, b, r, y in pairs_of(types, T, phase, alpha=o.alpha) if y or r["log_e"] > 3]
    json.dump(sorted(found, key=lambda r: -r["log_e"]), sys.stdout, indent=1, default=float)
