"""What ladderpipe costs, measured beside its peers: ``python -m benchmarks``."""
