"""One trainer for every model; losses and samplers from pytorch-metric-learning."""
