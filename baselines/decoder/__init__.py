"""Decoders with LoRA adapters, or scored as they are: prompts, network, and the ways to read an answer."""

from baselines.decoder.classifier import DecoderClassifier

__all__ = ["DecoderClassifier"]
