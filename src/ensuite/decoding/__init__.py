"""Next-step scores to sequences: greedy, beam."""
