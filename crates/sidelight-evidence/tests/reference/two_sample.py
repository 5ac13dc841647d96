"""Reference values for `statistics::two_sample`, from scipy 1.17.

The p value of Kolmogorov and Smirnov's test is that for large samples (`scipy.special.kolmogorov`), which is what
`two_sample` states; `ks_2samp` itself would correct it for small ones.

Run: python two_sample.py > two_sample.json
"""
import json

import numpy as np
from scipy import special, stats

rng = np.random.default_rng(5)


def kolmogorov_smirnov():
    pairs = [
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]),
        (rng.normal(0, 1, 40), rng.normal(0.3, 1, 55)),
        (rng.normal(0, 1, 200), rng.normal(0, 1, 31)),
        (rng.integers(0, 4, 60), rng.integers(1, 5, 80)),
        ([1.0] * 5, [1.0] * 7),
        (rng.normal(0, 1, 30), rng.normal(9, 1, 30)),
    ]
    for a, b in pairs:
        a, b = np.asarray(a, float), np.asarray(b, float)
        d = stats.ks_2samp(a, b).statistic
        p = special.kolmogorov(np.sqrt(len(a) * len(b) / (len(a) + len(b))) * d)
        yield {"a": a.tolist(), "b": b.tolist(), "distance": float(d), "p": float(p)}


def categories():
    for a, b in [([30, 10], [10, 30]), ([5, 7, 0, 3], [50, 61, 4, 9]), ([0, 9, 1], [0, 80, 20]), ([100, 100], [51, 49])]:
        a, b = np.asarray(a), np.asarray(b)
        seen = (a + b) > 0
        p = stats.chi2_contingency([a[seen], b[seen]], correction=False).pvalue
        distance = 0.5 * np.abs(a / a.sum() - b / b.sum()).sum()
        yield {"a": a.tolist(), "b": b.tolist(), "distance": float(distance), "p": float(p)}


print(json.dumps({"kolmogorov_smirnov": list(kolmogorov_smirnov()), "categories": list(categories())}, indent=1))
