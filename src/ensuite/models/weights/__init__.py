"""Published checkpoints under our names, and ours under theirs: a file for each family."""
