"""Files and objects in memory to tables, splits and tensors."""
