"""The commands of ``python -m keras_compat``, one module each.

Each offers ``add(commands)``, which describes it to argparse and names the function that runs it: that takes the
options and returns the exit status.
"""
