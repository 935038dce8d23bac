"""COCO data sets, their transforms and loaders, synthetic data, and checks before training."""
