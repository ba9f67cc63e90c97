"""Benchmarks against torch and Keras; each file measures one job, interleaved with its peers."""
