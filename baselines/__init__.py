"""The models: one file per kind, each with the interface `benchmark.interface.Classifier`."""
