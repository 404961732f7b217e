"""Transforms of functions: derivatives, batches, custom gradients, and the trees that they take and return."""
