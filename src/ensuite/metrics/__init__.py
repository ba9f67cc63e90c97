"""Answers and truths to numbers."""
