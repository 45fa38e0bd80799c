"""What expressions find in logs as well-known programs print them."""

# ruff: noqa: E501 - lines of logs

from __future__ import annotations

import pytest

from cloudtune.doctor.captures import find_captures, output_lines, suggest_expression
from cloudtune.doctor.metrics import check_expression

HEALTHY = {
    "yolo": (
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n        1/3      2.65G      1.153      1.398      1.192         81        640: 100%|██████████| 8/8 [00:03<00:00,  2.1it/s]\n                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██| 4/4\n                   all        128        929       0.64      0.537      0.605      0.446\n",
        "all\\s+\\d+\\s+\\d+\\s+\\S+\\s+\\S+\\s+\\S+\\s+(\\S+)",
    ),
    "xgb": (
        "[0]\ttrain-logloss:0.68\teval-logloss:0.69\n[1]\ttrain-logloss:0.58\teval-logloss:0.59\n",
        "eval-logloss:(\\S+)",
    ),
    "lgbm": (
        "[1]\tvalid_0's l2: 0.24\tvalid_0's auc: 0.9\n[2]\tvalid_0's l2: 0.22\tvalid_0's auc: 0.91\nEarly stopping, best iteration is:\n[2]\tvalid_0's l2: 0.22\tvalid_0's auc: 0.91\n",
        "valid_0's auc: (\\S+)",
    ),
    "catboost": (
        "0:\tlearn: 0.6\ttest: 0.62\tbest: 0.62 (0)\ttotal: 50ms\tremaining: 2s\n1:\tlearn: 0.5\ttest: 0.52\tbest: 0.52 (1)\ttotal: 90ms\tremaining: 1s\n",
        "best: (\\S+) \\(",
    ),
    "fastai": (
        "epoch     train_loss  valid_loss  accuracy  time    \n0         0.345000    0.234000    0.9100    00:12     \n1         0.245000    0.134000    0.9300    00:12     \n",
        "^(?P<step>\\d+)\\s+\\S+\\s+\\S+\\s+(?P<value>[\\d.]+)\\s+\\d\\d:\\d\\d",
    ),
    "mnist": (
        "Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.305400\nTrain Epoch: 1 [640/60000 (1%)]\tLoss: 1.3\n\nTest set: Average loss: 0.0502, Accuracy: 9841/10000 (98%)\n\n",
        "Average loss: ([\\d.]+)",
    ),
    "mnist-acc": (
        "Test set: Average loss: 0.0502, Accuracy: 9841/10000 (98%)\n",
        "Accuracy: (\\d+)/",
    ),
    "imagenet": (
        "Epoch: [0][   1/5005]\tTime  4.1 ( 4.1)\tData  3.0 ( 3.0)\tLoss 7.0118e+00 (7.0118e+00)\tAcc@1   0.00 (  0.00)\tAcc@5   0.39 (  0.39)\n * Acc@1 71.880 Acc@5 90.414\n",
        "\\* Acc@1 ([\\d.]+)",
    ),
    "imagenet-loss": (
        "Epoch: [0][   1/5005]\tLoss 7.0118e+00 (7.0118e+00)\tAcc@1   0.00\n",
        "Loss ([\\d.e+-]+)",
    ),
    "tqdm": (
        "Epoch 0:  50%|█████     | 5/10 [00:00<00:00, 123.45it/s, train_loss=0.123456, val_acc=93.21]\rEpoch 0: 100%|██████████| 10/10 [00:00<00:00, 123.45it/s, train_loss=0.113456, val_acc=94.21]\n",
        "val_acc=([\\d.]+)",
    ),
    "hf-eval": (
        "{'loss': 0.5, 'learning_rate': 5e-05, 'epoch': 1.0}\n{'eval_loss': 0.4, 'eval_f1': 0.88, 'epoch': 1.0}\n",
        "'eval_f1': ([0-9.]+)",
    ),
    "nni-log": (
        "[2026-11-27 10:00:01] INFO (train/MainThread) val_loss = -1.234e-05\n",
        "val_loss = (\\S+)",
    ),
    "table": (
        "|   5 |  0.9312 | 1.2e-3 |\n|   6 |  0.9412 | 1.1e-3 |\n",
        "\\|\\s+(?P<step>\\d+) \\|\\s+(?P<value>\\S+) \\|",
    ),
    "best": ("epoch 3: val 0.80 (best 0.82)\nepoch 4: val 0.83 (best 0.83)\n", "best ([\\d.]+)"),
    "json": (
        '{"epoch": 1, "val": {"loss": 0.5, "acc": 0.9}}\n{"epoch": 2, "val": {"loss": 4.9e-05, "acc": 0.91}}\n',
        '"loss": ([^,}]+)',
    ),
    "fairseq": (
        "2020-01-01 | INFO | train | epoch 001 | loss 8.1 | nll_loss 7.2 | ppl 150\n2020-01-01 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 6.5 | nll_loss 5.3 | ppl 40\n",
        "valid' subset \\| loss (\\S+)",
    ),
    "rl": (
        "| rollout/            |          |\n|    ep_rew_mean      | -153     |\n|    total_timesteps  | 2048     |\n|    ep_rew_mean      | 23.4     |\n",
        "ep_rew_mean\\s+\\|\\s+([-\\d.e+]+)",
    ),
    "sklearn report": (
        "              precision    recall  f1-score   support\n\n    accuracy                           0.93       100\n   macro avg       0.93      0.93      0.93       100\n",
        "accuracy\\s+(\\S+)",
    ),
    "percent": ("Val Acc: 93.2%\nVal Acc: 94.1%\n", "Val Acc: ([\\d.]+)%"),
    "time": ("Epoch 1 took 12.3s, loss=0.5\nEpoch 2 took 11.3s, loss=0.4\n", "loss=(\\S+)"),
    "negative in parens": ("elbo(-1234.5)\n", "elbo\\((\\S+)\\)"),
    "version": ("torch 2.3.1+cu121 loss: 0.5\n", "loss: (\\S+)"),
    "levels": ("INFO loss: 0.5\nWARNING loss: 0.4\n", "loss: (\\S+)"),
    "test set, once more": (
        "Test set: Accuracy: 80/100\nTest set: Accuracy: 85/100\nBest of the test set: Accuracy: 85/100\n",
        "Accuracy: (\\d+)/",
    ),
    "parts in the name": (
        "Train loss 0.5 | val_acc 0.7\nval_acc 0.8\n",
        "val_acc (\\S+)",
    ),
    "final": ("step 10 loss 0.5\nstep 20 loss 0.4\nFinal loss 0.4\n", "loss (\\S+)"),
}
FAULTY = [
    (
        "[0]\ttrain-logloss:0.68\teval-logloss:0.69\n",
        "logloss:(\\S+)",
        "metric-ambiguous",
        "\\beval-logloss:(\\S+)",
    ),
    ("| loss 8.1 | nll_loss 7.2 |\n", "loss (\\S+)", "metric-ambiguous", "\\bloss (\\S+)"),
    ("score: 1,234.50 points\n", "score: ([\\d,.]+)", "metric-not-number", ""),
    (
        "|    ep_rew_mean      | -153     |\n|    ep_rew_mean      | 23.4     |\n",
        "ep_rew_mean\\s+\\|\\s+([\\d.]+)",
        "metric-missed",
        "ep_rew_mean\\s+\\|\\s+(\\S+)",
    ),
    (
        "Train loss: 0.5\nValid loss: 0.6\n",
        r"loss: (\S+)",
        "metric-ambiguous",
        r"\bValid loss: (\S+)",
    ),
    ("loss: 1e-05\n", r"loss: ([\d.]+)", "metric-cut", r"loss: (\S+)"),
    ("loss: -9.5\nloss:  9.5\n", r"loss: (\S+)", "metric-missed", ""),
    ("loss: -0.5\n", r"loss: \D*([\d.]+)", "metric-cut", r"\bloss:\s*(\S+)"),
    ("loss 0.5 0.6\n", r"(\d\.\d)", "metric-ambiguous", r"\bloss (\d\.\d)"),
    (
        "Train set: Average loss: 0.3, Accuracy: 90/100 (90%)\n"
        "Test set: Average loss: 0.4, Accuracy: 85/100 (85%)\n",
        r"Accuracy: (\d+)/",
        "metric-ambiguous",
        r"\bTest.*?\bAccuracy: (\d+)/",
    ),
    (
        "Epoch: [0][10/50]\tLoss 7.0 (7.1)\tAcc@1 20.31 (19.2)\n"
        "Test: [10/20]\tLoss 6.0 (6.1)\tAcc@1 18.75 (18.1)\n * Acc@1 18.120 Acc@5 40.1\n",
        r"Acc@1\s+(\d+\.\d+)",
        "metric-ambiguous",
        r"\bTest.*?\bAcc@1\s+(\d+\.\d+)",
    ),
    (
        "| INFO | train | epoch 001 | loss 8.1 | nll_loss 7.2 | ppl 150\n"
        "| INFO | valid | epoch 001 | valid on 'valid' subset | loss 6.5 | nll_loss 5.3 | best_loss 6.5\n",
        r"loss ([0-9.]+)",
        "metric-ambiguous",
        r"\bvalid.*?\bloss ([0-9.]+)",
    ),
    (
        '{"train_loss": 0.5, "acc": 0.8}\n{"val_loss": 0.6, "acc": 0.7}\n',
        r'"acc": ([0-9.]+)',
        "metric-ambiguous",
        r'\bval.*?"acc": ([0-9.]+)',
    ),
]


@pytest.mark.parametrize("name", HEALTHY)
def test_an_expression_that_finds_one_metric(name: str) -> None:
    text, expression = HEALTHY[name]
    lines = output_lines(text)
    captures = find_captures(expression, lines)
    assert captures
    assert list(check_expression("loss", "trial.metrics.loss", expression, captures, lines)) == []


@pytest.mark.parametrize(("text", "expression", "found", "correction"), FAULTY)
def test_an_expression_is_corrected(
    text: str, expression: str, found: str, correction: str
) -> None:
    lines = output_lines(text)
    captures = find_captures(expression, lines)
    (check,) = check_expression("loss", "trial.metrics.loss", expression, captures, lines)
    assert check.id == found
    assert check.command == (f"metrics: {{loss: '{correction}'}}" if correction else "")


@pytest.mark.parametrize(
    ("line", "metric", "expression"),
    [
        ("epoch 1 loss=0.5", "loss", r"\bloss=(\S+)"),
        ("val_loss: 0.4 loss: 0.5", "loss", r"\bloss:\s*(\S+)"),
        ("Val Loss = 1e-3, done", "val_loss", r"\bVal Loss\s*=\s*(\S+)"),
        ('{"loss": 0.5}', "loss", r'\bloss":\s*(\S+)'),
        ("acc 93.1%", "acc", r"\bacc\s*([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)"),
        ("[3] train-auc:0.9 validation-auc:0.8", "auc", r"\bvalidation-auc:(\S+)"),
        ("loss: tensor(0.5123, grad_fn=<Nll>)", "loss", r"\bloss:\s*tensor\((\S+)"),
        ("{'acc': np.float64(0.93)}", "acc", r"\bacc':\s*np\.float64\((\S+)"),
        ("no loss here", "loss", None),
        ("loss: none", "loss", None),
    ],
)
def test_an_expression_is_suggested(line: str, metric: str, expression: str | None) -> None:
    assert suggest_expression(metric, [line]) == expression
    assert expression is None or find_captures(expression, [line])[0].value is not None
