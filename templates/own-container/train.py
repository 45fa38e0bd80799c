"""Tune boosted trees on scikit-learn's data about breast cancer: log loss of a cross-validation."""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from cloudtune.trial import params, report


def main() -> None:
    """Report the mean loss of five folds; `python train.py` has scikit-learn's defaults."""
    x, y = load_breast_cancer(return_X_y=True)
    model = HistGradientBoostingClassifier(**params(), early_stopping=False, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(model, x, y, cv=folds, scoring="neg_log_loss")
    report(loss=-scores.mean())


if __name__ == "__main__":
    main()
