"""Fast paths of the layers, each equal to its definition."""
