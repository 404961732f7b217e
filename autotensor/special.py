"""Special functions with derivatives, by the names of ``scipy.special``: ``at.special.gammaln(x)``.

Most need no SciPy. Values of betainc, gammainc, gammaincc, stdtr, and of Bessel functions of the second kind or of
orders that are no whole numbers, are SciPy's (``pip install scipy``). Derivatives by the shape parameters of these are
refused.
"""

from autotensor.ops.activation import log_softmax, softmax, softplus
from autotensor.ops.elementwise import cbrt, erf, erfc, erfinv, exp2, expm1, log1p
from autotensor.ops.reduce import logsumexp
from autotensor.ops.special import (
    beta,
    betaln,
    digamma,
    entr,
    erfcinv,
    expit,
    gamma,
    gammaln,
    gammasgn,
    i0,
    i0e,
    i1,
    i1e,
    j0,
    j1,
    kl_div,
    log_expit,
    log_ndtr,
    logit,
    multigammaln,
    ndtr,
    ndtri,
    polygamma,
    psi,
    rel_entr,
    rgamma,
    sinc,
    xlog1py,
    xlogy,
)
from autotensor.ops.special_scipy import betainc, gammainc, gammaincc, iv, ive, jn, jv, stdtr, y0, y1, yn, yv

__all__ = [
    "beta", "betainc", "betaln", "cbrt", "digamma", "entr", "erf", "erfc", "erfcinv", "erfinv", "exp2", "expit",
    "expm1", "gamma", "gammainc", "gammaincc", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "iv", "ive", "j0",
    "j1", "jn", "jv", "kl_div", "log1p", "log_expit", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln",
    "ndtr", "ndtri", "polygamma", "psi", "rel_entr", "rgamma", "sinc", "softmax", "softplus", "stdtr", "xlog1py",
    "xlogy", "y0", "y1", "yn", "yv",
]  # fmt: skip
