"""Sweeps: planning, queueing and watching runs, and the tables, figures and reports made of them.

Nothing in this package imports torch; a job does when it starts to train. Importing the package
loads neither pandas nor Hydra: the functions below do when they are called.
"""

from sweeps.collect import collect
from sweeps.plan import plan

__all__ = ["collect", "plan"]
