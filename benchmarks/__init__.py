"""Speed, measured: training steps, epochs, operations, growth, ours beside others. See docs/performance.md."""
