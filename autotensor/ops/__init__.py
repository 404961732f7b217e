"""The operations, by family. Each is one block: implementation, shape rule, gradient, scalar expression."""
