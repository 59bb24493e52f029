"""Measurements of speed and memory, run by hand: `python -m paddle2torch.benchmarks.convert`."""
