"""The backbones, one file each: options, then the network."""
