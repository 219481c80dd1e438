"""The published study's figures, as printed. Nothing in this module was measured here.

"Emotion Text Classification Using Llama3-8b and LoRA", Daoyuan Li, 2024.
"""

TITLE = "Emotion Text Classification Using Llama3-8b and LoRA (Daoyuan Li, 2024)"
DATASET = "emotion"
TRAIN_ROWS = 16_000
TEST_ROWS = 2000
TEST_SHA256 = "60f531690d20127339e7f054edc299a82c627b5ec0dd5d552d53d544e0cfcc17"
"""The hash of the published test split, as in conf/dataset/emotion.yaml."""
LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")

TABLE1 = {
    "training_data": "publicly available data",
    "parameters": "8B",
    "context_length": "8k",
    "grouped_query_attention": "yes",
    "token_count": "15T+",
    "knowledge_cutoff": "March 2023",
}
"""Table 1, details of Llama3-8b."""

TABLE2 = {
    "optimizer": "Adam",
    "learning_rate": 5e-5,
    "batch_size": 5,
    "epochs": 3.0,
    "lora_rank": 8,
    "gradient_accumulation_steps": 4,
    "max_length": 512,
}
"""Table 2, experiment settings for Llama3-8b."""

PROSE = {"schedule": "cosine", "precision": "fp16", "attention": "flash_attention_2"}
"""Settings given in the study's text only."""

TABLE3 = {
    "bert_base": 0.9063,
    "bert_large": 0.9086,
    "roberta_base": 0.9125,
    "roberta_large": 0.9189,
    "llama3_lora": 0.9262,
}
"""Table 3, accuracy, by the name of the model here that repeats it."""

TABLE3_TITLES = {
    "bert_base": "BERT base",
    "bert_large": "BERT large",
    "roberta_base": "RoBERTa base",
    "roberta_large": "RoBERTa large",
    "llama3_lora": "Llama 3 8B",
}
"""Its models as this suite writes their names; the study prints Bert-Base, Roberta-Base and Llama3-8b."""

DECODERS = ("llama3_lora",)
"""The models of Table 3 that are not encoders."""

BEST_ENCODER = max((name for name in TABLE3 if name not in DECODERS), key=TABLE3.__getitem__)
