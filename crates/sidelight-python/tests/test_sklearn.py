"""scikit-learn's own tools take the estimators."""

import numpy as np
import pytest
from conftest import SMALL
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sidelight.sklearn import SidelightClassifier, SidelightRegressor

QUICK = {**SMALL, "epochs": 1}


def classifier(folder, **more):
    return SidelightClassifier("file_name", images=folder, **{**QUICK, **more})


def test_classes_are_those_of_y(rows, frame, folder):
    y = frame["colour"].map({"red": 7, "green": 3, "blue": 5}).to_numpy()
    fitted = classifier(folder).fit(rows, y)
    assert fitted.classes_.tolist() == [3, 5, 7]
    p = fitted.predict_proba(rows)
    assert p.shape == (len(rows), 3) and np.allclose(p.sum(1), 1, atol=1e-5)
    assert set(fitted.predict(rows)) <= {3, 5, 7}
    assert 0 <= fitted.score(rows, y) <= 1


def test_cross_validation(rows, frame, folder):
    scores = cross_val_score(classifier(folder), rows, frame["colour"], cv=2, error_score="raise")
    assert scores.shape == (2,)


def test_a_grid(rows, frame, folder):
    grid = GridSearchCV(classifier(folder), {"arm": ["image", "metadata"]}, cv=2, error_score="raise").fit(rows, frame["colour"])
    assert grid.best_params_["arm"] in ("image", "metadata")


def test_a_pipeline(rows, frame, folder):
    steps = [("keep", FunctionTransformer(lambda frame: frame)), ("net", SidelightRegressor("file_name", images=folder, **QUICK))]
    pipeline = Pipeline(steps).fit(rows, frame["price"])
    assert pipeline.predict(rows).shape == (len(rows),)


def test_a_clone_has_the_same_parameters_and_no_model(folder):
    estimator = classifier(folder, seed=3)
    assert clone(estimator).get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        clone(estimator).predict(None)
