"""Decoding: greedy, beam search and sampling from a model's next-token logits."""
