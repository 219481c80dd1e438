"""Where networks and tokenizers come from: sources, checks, GGUF files, and LoRA adapters."""
