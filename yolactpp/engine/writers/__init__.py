"""Curves, settings and results in TensorBoard, Weights & Biases and MLflow.

Each package is imported when the first record comes, so that building a writer costs nothing.
"""

from yolactpp.engine.writers.mlflow_writer import MlflowWriter
from yolactpp.engine.writers.tensorboard_writer import TensorBoardWriter
from yolactpp.engine.writers.wandb_writer import WandbWriter

__all__ = ["MlflowWriter", "TensorBoardWriter", "WandbWriter"]
