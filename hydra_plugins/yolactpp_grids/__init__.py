"""Hydra plugins of the sweep system."""
