"""The jobs ensuite can do, one file each."""
