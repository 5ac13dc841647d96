"""Reference values for `statistics`, from scipy 1.17 and statsmodels 0.15.

Run: python statistics.py > statistics.json
"""
import json

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(11)


def distributions():
    for x, df, p in [(-3.1, 1, 0.001), (-0.4, 4, 0.025), (0.0, 9, 0.3), (1.7, 29.5, 0.6), (4.2, 300, 0.9995)]:
        yield {
            "x": x,
            "df": df,
            "p": p,
            "normal_cdf": stats.norm.cdf(x),
            "t_cdf": stats.t.cdf(x, df),
            "normal_quantile": stats.norm.ppf(p),
            "t_quantile": stats.t.ppf(p, df),
        }


def units_and_fits():
    own = np.random.default_rng(12)
    for n_units, folds, seeds in [(100, 5, 1), (12, 3, 1), (311, 5, 3), (40, 5, 0)]:
        weights = own.integers(5, 40, (seeds, folds)).astype(float)
        d = own.normal(0.02, 0.03, (seeds, folds))
        difference, se = 0.02, 0.008
        units = n_units / (n_units - 1) * se**2
        fits = [
            folds / (folds - 1) * np.sum((w / w.sum() * (x - np.average(x, weights=w))) ** 2) for x, w in zip(d, weights)
        ]
        share = 1 / seeds if seeds else 0
        a = (0.3 + 1 - share) * units
        b = share * (np.mean(fits) if seeds else 0)
        df = (a + b) ** 2 / (a**2 / (n_units - 1) + b**2 / max(1, seeds * (folds - 1)))
        t = difference / np.sqrt(a + b)
        low, high = stats.t.interval(0.95, df, loc=difference, scale=np.sqrt(a + b))
        yield {
            "difference": difference,
            "se": se,
            "n_units": n_units,
            "fits": [{"differences": x.tolist(), "weights": w.tolist()} for x, w in zip(d, weights)],
            "df": df,
            "t": t,
            "p": 2 * stats.t.sf(abs(t), df),
            "low": low,
            "high": high,
        }


def holm():
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5, 0.6, 0.001], rng.random(8).tolist(), [0.02]]:
        yield {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


def wilson():
    for k, n in [(0, 10), (5, 10), (47, 50), (30, 1000)]:
        low, high = proportion_confint(k, n, method="wilson")
        yield {"k": k, "n": n, "low": low, "high": high}


print(
    json.dumps(
        {
            "distributions": list(distributions()),
            "units_and_fits": list(units_and_fits()),
            "holm": list(holm()),
            "wilson": list(wilson()),
        }
    )
)
