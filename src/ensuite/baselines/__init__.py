"""The simple method that each task must beat."""
