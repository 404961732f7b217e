"""``scipy.stats`` for programs written for HIPS autograd: densities and distribution functions with derivatives.

Each distribution is a module of functions, with SciPy's arguments. Derivatives by the shape parameters of incomplete
beta and gamma functions (``cdf`` of beta, gamma, chi2, t by their parameters) are refused.
"""

from autotensor.scipy.stats import beta, chi2, dirichlet, gamma, multivariate_normal, norm, poisson, t

__all__ = ["beta", "chi2", "dirichlet", "gamma", "multivariate_normal", "norm", "poisson", "t"]
