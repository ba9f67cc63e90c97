"""How fast, beside whom: each file measures one job, ours and its peers interleaved in one run."""
