"""Programs written for HIPS autograd, and what they compute there."""
