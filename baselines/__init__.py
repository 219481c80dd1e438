"""The models: one module or package per kind, each with the interface `benchmark.interface.Classifier`."""
