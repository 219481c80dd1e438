"""The models, each with the interface `benchmark.interface.Classifier`, and what several of them use."""
