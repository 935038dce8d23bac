"""YOLACT++ for studies of mask losses: training, evaluation and use of trained networks."""
