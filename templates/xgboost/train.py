"""Train XGBoost on images of digits; each round is reported by a callback.

`python train.py` trains with XGBoost's defaults. Under cloudtune, `params()` returns the parameters
of the trial.
"""

from pathlib import Path

import xgboost as xgb
from sklearn.datasets import load_digits

from cloudtune.trial import XGBoostCallback, output_dir, params, report

PATIENCE = 20  # rounds without improvement after which XGBoost stops


def main() -> None:
    """Train one model, save it, and measure it on images that tuning does not see."""
    booster_params = {"device": "cpu", "rounds": 400, **params()}
    rounds = booster_params.pop("rounds")
    train, valid, test = load_data()
    model = xgb.train(
        {"objective": "multi:softprob", "num_class": 10, "seed": 0}
        | {"eval_metric": ["merror", "mlogloss"], **booster_params},
        train,
        num_boost_round=rounds,
        evals=[(valid, "valid")],
        verbose_eval=50,
        callbacks=[
            XGBoostCallback({"error": "valid-merror", "loss": "valid-mlogloss"}),
            xgb.callback.EarlyStopping(rounds=PATIENCE, save_best=True),
        ],
    )
    report(test_error=error(model, test), step=model.num_boosted_rounds())
    model.save_model(Path(output_dir()) / "model.json")


def load_data() -> tuple[xgb.DMatrix, xgb.DMatrix, xgb.DMatrix]:
    """Return data to train, to tune and to test on.

    The images are in the order of collection, so mostly other people wrote those of each part. That
    is harder than random parts, and more honest.
    """
    images, labels = load_digits(return_X_y=True)
    parts = slice(0, 900), slice(900, 1350), slice(1350, None)
    train, valid, test = ((images[part], labels[part]) for part in parts)
    data = xgb.QuantileDMatrix(*train)  # quantized once, for tree_method: hist
    return data, xgb.QuantileDMatrix(*valid, ref=data), xgb.DMatrix(*test)


def error(model: xgb.Booster, data: xgb.DMatrix) -> float:
    """Return the share of wrong predictions."""
    return float((model.predict(data).argmax(axis=1) != data.get_label()).mean())


if __name__ == "__main__":
    main()
