"""Reference values for `statistics`, from scipy 1.17 and statsmodels 0.15.

DeLong's test is computed here from its definition by all pairs (O(n^2)), without ranks.

Run: python statistics.py > statistics.json
"""
import json

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
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


def binomial():
    for k, n, p in [(0, 5, 0.5), (3, 20, 0.1), (50, 200, 0.3), (7, 7, 0.5)]:
        yield {"k": k, "n": n, "p": p, "cdf": stats.binom.cdf(k, n, p), "pmf": stats.binom.pmf(k, n, p)}


def corrected_t():
    for folds, seeds in [(5, 1), (10, 10), (2, 1), (5, 3)]:
        d = rng.normal(0.02, 0.03, folds * seeds)
        ratio = 1 / (folds - 1)
        se = np.sqrt((1 / len(d) + ratio) * d.var(ddof=1))
        t = d.mean() / se
        low, high = stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=se)
        p = 2 * stats.t.sf(abs(t), len(d) - 1)
        yield {"differences": d.tolist(), "test_to_train": ratio, "t": t, "p": p, "low": low, "high": high}


def holm():
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5, 0.6, 0.001], rng.random(8).tolist(), [0.02]]:
        yield {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


def mcnemars():
    # The first is the worked example of Fagerland et al. 2013, table 1 (1 and 7 discordant pairs).
    for b, c in [(1, 7), (7, 1), (10, 10), (0, 4), (33, 52), (0, 0)]:
        exact = mcnemar([[3, b], [c, 3]], exact=True).pvalue
        mid = exact - stats.binom.pmf(min(b, c), b + c, 0.5) if b != c else 1 - stats.binom.pmf(b, b + c, 0.5)
        yield {"b": b, "c": c, "exact": exact, "mid": mid if b + c else 1.0}


def sign_flips():
    for n in [3, 6, 10, 12]:
        d = np.round(rng.normal(0.4, 1, n), 2)
        test = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
        yield {"differences": d.tolist(), "p": test.pvalue}


def delong():
    for n, ties in [(40, False), (60, True), (25, True)]:
        positive = rng.random(n) < 0.4
        a = rng.normal(0, 1, n) + 1.2 * positive
        b = 0.5 * a + rng.normal(0, 1, n) + 0.4 * positive
        if ties:
            a, b = np.round(a), np.round(b)

        def components(s):
            x, y = s[positive], s[~positive]
            psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
            return psi.mean(), psi.mean(1), psi.mean(0)

        (auc_a, v10a, v01a), (auc_b, v10b, v01b) = components(a), components(b)
        s = np.cov(v10a, v10b) / positive.sum() + np.cov(v01a, v01b) / (~positive).sum()
        z = (auc_a - auc_b) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
        yield {
            "positive": positive.astype(int).tolist(),
            "a": a.tolist(),
            "b": b.tolist(),
            "auroc_a": auc_a,
            "auroc_b": auc_b,
            "variance_a": s[0, 0],
            "covariance": s[0, 1],
            "z": z,
            "p": 2 * stats.norm.sf(abs(z)),
        }


def wilson():
    for k, n in [(0, 10), (5, 10), (47, 50), (30, 1000)]:
        low, high = proportion_confint(k, n, method="wilson")
        yield {"k": k, "n": n, "low": low, "high": high}


print(
    json.dumps(
        {
            "distributions": list(distributions()),
            "binomial": list(binomial()),
            "corrected_t": list(corrected_t()),
            "holm": list(holm()),
            "mcnemar": list(mcnemars()),
            "sign_flip": list(sign_flips()),
            "delong": list(delong()),
            "wilson": list(wilson()),
        }
    )
)
