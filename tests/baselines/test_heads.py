"""Which head a checkpoint has, and for which labels."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification

from baselines.weights.compatibility import check_declared, check_files
from baselines.weights.families import first_position
from baselines.weights.heads import output_layer, trained_head
from baselines.weights.sources import Checkpoint
from baselines.weights.tokenizer import train_tokenizer
from benchmark.errors import BenchmarkError
from benchmark.interface import WeightSource

SIZES = {"vocab_size": 90, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("model_type", "layer"),
    [
        ("bert", "classifier"),
        ("roberta", "classifier.out_proj"),
        ("distilbert", "classifier"),
        ("deberta-v2", "classifier"),
        ("mpnet", "classifier.out_proj"),
        ("modernbert", "classifier"),
        ("llama", "score"),
    ],
)
def test_the_output_layer_is_the_one_with_a_row_for_each_label(model_type: str, layer: str) -> None:
    sizes = {"vocab_size": 90, "dim": 16, "n_heads": 2} if model_type == "distilbert" else SIZES
    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model(model_type, num_labels=5, pad_token_id=0, **sizes)
        )
    assert output_layer(network) == layer
    assert network.get_submodule(layer).out_features == 5


def test_a_part_of_a_head_that_comes_from_pretraining_is_no_head(tmp_path: Path) -> None:
    architecture = {"model_type": "modernbert", **SIZES, "vocab_size": 300}
    tokenizer = train_tokenizer(architecture, ["so happy", "so sad"])
    config = AutoConfig.for_model(**architecture, pad_token_id=tokenizer.pad_token_id)
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path, WeightSource("folder"))
    checked = check_files(AutoModelForSequenceClassification, checkpoint, ["joy", "fear"])
    assert checked.head is None


def test_entries_that_a_training_changes_are_no_declaration() -> None:
    config = AutoConfig.for_model("bert", num_labels=3)
    check_declared(config, {"num_labels": 5, "_attn_implementation": "eager"}, "weights")
    with pytest.raises(BenchmarkError, match="hidden_size=768"):
        check_declared(config, {"hidden_size": 16}, "weights")


@pytest.mark.parametrize(("model_type", "first"), [("longformer", 2), ("luke", 2), ("bert", 0)])
def test_positions_follow_the_padding_in_networks_like_roberta(model_type: str, first: int) -> None:
    assert first_position(AutoConfig.for_model(model_type, pad_token_id=1)) == first


def test_generic_names_are_names_if_those_of_the_data_set_are_generic_too() -> None:
    config = AutoConfig.for_model("bert", num_labels=2)
    assert trained_head(config, ("joy", "fear")).names is None
    assert trained_head(config, ("LABEL_1", "LABEL_0")).order == (1, 0)
