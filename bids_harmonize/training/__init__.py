"""Training: device and precision, splits, volumes on disk, augmentation, loop, checkpoints."""
