"""From a model and examples to trained weights, resumable at every update."""
