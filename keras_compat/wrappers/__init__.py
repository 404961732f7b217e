"""Models as estimators of other libraries."""

from . import scikit_learn as scikit_learn
