"""The compiler: from recipes to a flat plan of prebound kernels. Knows operations by their properties only."""
