"""Writes numbers.json, what the programs of this folder compute with HIPS autograd itself, and names.json, what it has.

pip install autograd scipy
python tests/autotensor/hips/generate.py
"""

import importlib
import json
import runpy
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def plain(x):
    return np.asarray(x).tolist()


# The modules of the package that programs import.
MODULES = (
    "autograd autograd.numpy autograd.numpy.linalg autograd.numpy.fft autograd.numpy.random autograd.scipy.special "
    "autograd.scipy.linalg autograd.scipy.signal autograd.scipy.integrate autograd.scipy.stats.beta "
    "autograd.scipy.stats.chi2 autograd.scipy.stats.dirichlet autograd.scipy.stats.gamma "
    "autograd.scipy.stats.multivariate_normal autograd.scipy.stats.norm autograd.scipy.stats.poisson "
    "autograd.scipy.stats.t autograd.misc autograd.misc.flatten autograd.misc.optimizers autograd.misc.fixed_points"
).split()
# What a module imports for itself: the names of other parts of the package, and helpers of its gradient rules.
HELPERS = (
    "T add2d argnums_unpack array_from_args as_strided check_even_shape check_no_repeated_axes compute_conv_size "
    "concatenate_args const_graph covgrad custom_where einsum_tensordot fft_grad fixed_point_vjp flipped_idxs "
    "fwd_grad_logsumexp generalized_outer_product get_fft2_args get_fft_args get_fftn_args irfft_grad "
    "make_gammainc_vjp_arg1 make_grad_logsumexp make_rfft_factors match_complex metadata norm_jvp norm_vjp parse_axes "
    "parse_einsum_input rfft_grad test truncate_pad wrap_if_boxes_inside wrap_intdtype wrap_namespace "
    "defjvp defvjp defjvp_argnum defvjp_argnum defjvp_argnums defvjp_argnums primitive notrace_primitive unbroadcast_f "
    "repeat_to_match_shape partial vspace subvals wraps"
).split()


_RULES = {"autograd": "no rule"}  # grad_and_aux is a transform


def public(module):
    """The functions and ufuncs that a module offers for use."""
    found = []
    for name in dir(module):
        thing = getattr(module, name)
        if name.startswith("_") or isinstance(thing, types.ModuleType) or not callable(thing):
            continue
        if isinstance(thing, type):
            continue
        if name in HELPERS or name.startswith(_RULES.get(module.__name__, "grad_")):
            continue
        found.append(name)
    return found


def main():
    import autograd

    names = {name: public(importlib.import_module(name)) for name in MODULES}
    (HERE / "names.json").write_text(json.dumps(names, indent=0), encoding="utf-8")
    found = {}
    for path in sorted((HERE / "programs").glob("*.py")):
        made = runpy.run_path(str(path))["results"]
        found[path.stem] = {key: plain(value) for key, value in made.items()}
        print(path.stem, {key: np.shape(value) for key, value in found[path.stem].items()})
    (HERE / "numbers.json").write_text(json.dumps(found, indent=0), encoding="utf-8")
    print(autograd.__name__, "done")


if __name__ == "__main__":
    main()
