"""What each point model computes, against independent answers."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from project01.domain import InputError, TrainingSet
from project01.models import ConformalForecaster, feature_importance, point_model, top_contributions
from project01.models.design import Design, clipped, thinned


def design(matrix: np.ndarray, **more: object) -> Design:
    names = tuple(f"f{n}" for n in range(matrix.shape[1]))
    return Design(np.asarray(matrix, dtype=np.float32), names, **more)  # type: ignore[arg-type]


def noise(rows: int = 600, width: int = 4, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def test_ridge_is_scikit_learns_on_standardised_medians() -> None:
    matrix = noise()
    matrix[::9, 1] = np.nan
    label = matrix[:, 0] * 0.02 + np.random.default_rng(4).normal(size=600) * 0.01
    model = point_model("ridge", bound=50.0, clip_tail=0.0, penalty_share=0.1)
    model.fit(design(matrix), label, 0)
    filled = np.where(np.isnan(matrix), np.nanmedian(matrix, axis=0), matrix).astype(np.float64)
    scores = (filled - filled.mean(axis=0)) / filled.std(axis=0)
    wanted = Ridge(alpha=0.1 * 600).fit(scores, label)
    np.testing.assert_allclose(model.predict(design(matrix)), wanted.predict(scores), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.contributions(design(matrix)), scores * wanted.coef_, rtol=1e-6, atol=1e-9)


def test_ridge_takes_nothing_from_rows_forecast() -> None:
    matrix = noise()
    model = point_model("ridge")
    model.fit(design(matrix), matrix[:, 0] * 0.01, 0)
    alone = model.predict(design(matrix[:1]))
    beside = model.predict(design(np.vstack([matrix[:1], matrix * 1000])))[:1]
    assert alone.tobytes() == beside.tobytes()


def test_ridge_gives_constant_and_empty_features_no_say() -> None:
    matrix = noise()
    matrix[:, 2], matrix[:, 3] = 0.1, np.nan
    model = point_model("ridge")
    model.fit(design(matrix), matrix[:, 0] * 0.01, 0)
    assert not model.contributions(design(matrix))[:, 2:].any()


def test_historical_mean_by_hand() -> None:
    symbols = np.array(["A", "A", "B", "B", "B"], dtype=object)
    label = np.array([0.1, 0.3, 0.0, 0.0, 0.1])
    model = point_model("historical_mean", prior_rows=0.0)
    model.fit(design(noise(5), symbols=symbols), label, 0)
    asked = design(noise(3), symbols=np.array(["B", "A", "new"], dtype=object))
    np.testing.assert_allclose(model.predict(asked), [0.1 / 3, 0.2, 0.1])
    shrunk = point_model("historical_mean", prior_rows=2.0)
    shrunk.fit(design(noise(5), symbols=symbols), label, 0)
    np.testing.assert_allclose(shrunk.predict(asked), [(0.1 + 0.2) / 5, (0.4 + 0.2) / 4, 0.1])


def test_momentum_is_ic_times_volatility_times_score() -> None:
    matrix = np.array([[0.0], [0.1], [0.2], [np.nan]], dtype=np.float32)
    label = np.array([0.02, -0.02, 0.02, -0.02])
    model = point_model("momentum", feature="f0")
    model.fit(design(matrix), label, 0)
    score = (np.array([0.0, 0.1, 0.2]) - 0.1) / np.std([0.0, 0.1, 0.2])
    np.testing.assert_allclose(model.predict(design(matrix)), [*(0.02 * 0.02 * score), 0.0], atol=1e-9)


def test_momentum_never_turns_round() -> None:
    matrix = noise(400, 1)
    model = point_model("momentum", feature="f0")
    model.fit(design(matrix), -matrix[:, 0].astype(np.float64), 0)
    assert np.corrcoef(model.predict(design(matrix)), matrix[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_trees_find_a_planted_edge_and_hardly_any_in_noise(name: str) -> None:
    matrix, generator = noise(6000), np.random.default_rng(8)
    fit, test = design(matrix[:4000]), design(matrix[4000:])
    edge = 0.3 * np.sign(matrix[:, 0]) + generator.normal(size=6000)
    model = point_model(name, feature_fraction=1.0) if name == "lightgbm" else point_model(name, colsample_bytree=1.0)
    model.fit(fit, edge[:4000], 1)
    assert np.corrcoef(model.predict(test), np.sign(matrix[4000:, 0]))[0, 1] > 0.8
    model.fit(fit, generator.normal(size=4000), 1)
    assert model.predict(test).std() < 0.1


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_the_seed_matters_and_nothing_else(name: str) -> None:
    rows, label = design(noise()), np.random.default_rng(2).normal(size=600)
    files = []
    for seed in (1, 1, 2):
        model = point_model(name)
        model.fit(rows, label, seed)
        files.append(model.to_files())
    assert files[0] == files[1] != files[2]


def test_clipping_is_by_cross_section() -> None:
    times = np.repeat([1, 2], 5)
    label = np.array([0.0, 1, 2, 3, 100, 0, 10, 20, 30, 1000])
    found = clipped(design(noise(10), times=times), label, 0.25)
    np.testing.assert_allclose(found, [1, 1, 2, 3, 3, 10, 10, 20, 30, 30])
    np.testing.assert_allclose(clipped(design(noise(10)), label, 0.0), label)


@pytest.mark.parametrize(
    ("horizon", "kept"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 2, 4, 6]), (5, [0, 3, 6]), (21, [0, 3, 6])]
)
def test_thinning_keeps_the_newest_time_and_all_that_do_not_overlap(horizon: int, kept: list[int]) -> None:
    times = np.repeat(np.arange(7), 2)
    rows, label = thinned(design(noise(14), times=times, horizon=horizon), times.astype(float), 3)
    assert rows.times is not None
    assert sorted(set(rows.times.tolist())) == kept
    assert label.tolist() == rows.times.tolist()


def test_importance_names_the_planted_feature(
    training: TrainingSet, fitted_models: dict[str, ConformalForecaster]
) -> None:
    for name in ("lightgbm", "xgboost", "ridge"):
        frame = feature_importance(fitted_models[name], training.features)
        assert frame["feature"][0] == "ret_5"
        values = np.abs(fitted_models[name].contributions(training.features))
        assert frame["mean_abs_shap"][0] == pytest.approx(values[:, 0].mean())
        top = top_contributions(fitted_models[name], training.features, 2)
        first = top.filter(symbol="S03", as_of=training.features.frame["as_of"][0])
        order = np.argsort(-values[3])[:2]
        assert first["feature"].to_list() == [training.features.feature_names[n] for n in order]
        np.testing.assert_allclose(first["contribution"].abs(), values[3][order])
        assert first["rank"].to_list() == [1, 2]
    assert top_contributions(fitted_models["zero"], training.features).height == 0


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_shap_values_of_one_split_by_hand(name: str) -> None:
    # One tree, one split in half: a row's value is half the distance of its leaf from the other leaf.
    matrix = np.array([[0.0, 0.0], [1.0, 0.0]] * 50, dtype=np.float32)
    label = matrix[:, 0].astype(np.float64)
    shape = {"rounds": 1, "clip_tail": 0.0, "leaf_share": 0.01}
    shape |= (
        {"num_leaves": 2, "learning_rate": 1.0, "lambda_l2": 0.0, "feature_fraction": 1.0, "bagging_fraction": 1.0}
        if name == "lightgbm"
        else {"max_depth": 1, "eta": 1.0, "lambda": 0.0, "colsample_bytree": 1.0, "subsample": 1.0}
    )
    model = point_model(name, **shape)
    model.fit(design(matrix), label, 0)
    np.testing.assert_allclose(model.predict(design(matrix[:2])), [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(model.contributions(design(matrix[:2])), [[-0.5, 0], [0.5, 0]], atol=1e-6)


def test_unknown_names_and_settings_are_refused() -> None:
    with pytest.raises(InputError, match="Choose from lightgbm, xgboost, ridge"):
        point_model("prophet")
    with pytest.raises(InputError, match="zero has no setting 'rounds'; it has none"):
        point_model("zero", rounds=3)
