"""Backbones: each file has the options of one, and the network they build."""
