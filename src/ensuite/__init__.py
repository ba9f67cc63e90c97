"""Train the sequence models that could do a job under one budget, and say which to use."""
