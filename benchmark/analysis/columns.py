"""The columns of the table of runs, and what they mean."""

VALUE_COLUMNS = {
    "run": "its folder below results/runs",
    "configuration": "an id that runs share which differ only in their seed",
    "curve": "an id that runs share which differ only in their seed and the number of training rows",
    "training": "an id that read-outs of one training share, whatever their seed",
    "trained_by": "the run that trained the adapter, where this run only loads it",
    "model": "the name of the model",
    "title": "its name for people",
    "kind": "the kind of model",
    "readout": "how the answer is read; None for models that are read in one way only",
    "recipe": "the name of the recipe and the settings that differ from the shipped ones",
    "short_name": "how people see the configuration",
    "seed": "the seed",
    "dataset": "the key of the data set's content (`datasets.dataset_keys`), which need not be the name in the record",
    "test_sha256": "the hash of the test split",
    "status": "completed, failed or interrupted",
    "precision": "the precision of the computation",
    "hardware": "what computed it",
    "test_rows": "how many test rows have a prediction",
    "train_rows": "how many rows the training split has",
    "steps": "how many optimiser steps were made; None for none",
    "parameters": "parameters of the model without a classification head",
    "training_seconds": "seconds of training without loading and validation",
    "peak_memory": "bytes of the GPU, else of the process",
    "trained_parameters": "trained parameters, with a classification head; None for none",
    "seconds_per_text": "seconds of prediction per test text",
    "validation_accuracy": "the validation accuracy of the weights with which training ended",
}
"""The columns of `Results.runs` that are not flags, and what they mean.

Predictions made elsewhere have no costs, and times on a device that other jobs used are left out.
"""
FLAG_COLUMNS = {
    "result": "whether the accuracy may be compared",
    "pretrained": "whether the model's own pretrained weights were used",
    "scorable": "whether the predictions have an accuracy at all",
    "reduced": "whether rows or steps were limited, or the weights are not the model's own",
    "counted": "whether the run enters the configuration's scores. Only results do; without any, pretrained runs; "
    "without those, all completed runs",
    "trained": "whether the run trained something",
    "learns": "whether the model looks at the texts",
    "has_confidences": "whether the predictions carry confidences",
    "collapsed": "whether all of several texts got one label, or none of them any",
    "on_gpu": "whether a GPU computed it",
    "shared_time": "whether other jobs used the device, so that times are not comparable",
}
"""The columns of `Results.runs` that are true or false, and what they mean."""
RUN_COLUMNS = (*VALUE_COLUMNS, *FLAG_COLUMNS)
"""The columns of `Results.runs`."""
