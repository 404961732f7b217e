"""What a tensor and an operation are. Names no concrete operation."""
