"""A folder for ``PYTHONPATH``: Python reads the ``sitecustomize.py`` in it before a program that ``run`` starts."""
