"""Speed, measured: micro-benchmarks for pytest-benchmark and whole training steps side by side with peers."""
