"""Fast kernels of the recurrent cells; each computes the same as the loop over the cell's step."""
