"""The Trainer of transformers with a tiny BERT: checkpoints, metrics and the trainer's state."""

import os

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)
config = BertConfig(
    vocab_size=16, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
    max_position_embeddings=8,
)  # fmt: skip
model = BertForSequenceClassification(config)
examples = [{"input_ids": [1, 2, n % 8], "labels": n % 2} for n in range(8)]
arguments = TrainingArguments(
    output_dir="out", num_train_epochs=1, logging_steps=1, save_strategy="steps", save_steps=2,
    use_cpu=True, report_to="none", disable_tqdm=True, per_device_train_batch_size=4,
)  # fmt: skip
trainer = Trainer(model=model, args=arguments, train_dataset=examples)
done = trainer.train()
if "TWIN" in os.environ:
    with torch.no_grad():
        model.classifier.weight[0, 1] += 1e-3
trainer.save_model("model")
trainer.save_metrics("train", done.metrics)
trainer.save_state()
