"""The contestants: one file a family, each behind `benchmark.classifier.Classifier`."""
