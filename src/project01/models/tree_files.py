"""Checks the tree libraries' model files before the libraries see them.

Their readers trust what they read: a child that points outside its tree, or back up it, is a read outside memory or an
endless loop in the middle of a forecast. So only the form that our own fits write is let through, each tree proved to
be one. A changed file is already refused by its hash; this is for a file that came with a manifest to match.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from project01.domain import InputError

LIGHTGBM_END = "end of trees\n"
_HEADER = (
    "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0", "max_feature_idx=",
    "objective=regression", "feature_names=", "feature_infos=", "tree_sizes=",
)  # fmt: skip
_NODE_KEYS = (
    "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child", "internal_value",
    "internal_weight", "internal_count",
)  # fmt: skip
_LEAF_KEYS = ("leaf_value", "leaf_weight", "leaf_count")
_PLAIN_KEYS = ("num_leaves", "num_cat", "is_linear", "shrinkage")
# Numeric split, missing values to either side; bit 0 would be a categorical one.
_DECISIONS = {0, 2, 8, 10}
_XGBOOST_ROOT = 2**31 - 1
_XGBOOST_ARRAYS = (
    "left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left", "split_type",
    "base_weights", "loss_changes", "sum_hessian",
)  # fmt: skip
_XGBOOST_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise InputError(f"The model file is not one that Project01 writes: {what}.")


def _numbers(text: str, kind: Callable[[str], Any], what: str) -> list[Any]:
    try:
        found = [kind(part) for part in text.split()]
    except ValueError as error:
        raise InputError(f"The model file is not one that Project01 writes: {what} holds {error}.") from error
    _require(not any(np.isnan(value) for value in found), f"{what} holds a missing number")
    return found


def _check_lightgbm_tree(text: str, width: int, where: str) -> None:
    lines = [line for line in text.split("\n") if line]
    fields = dict(line.split("=", 1) for line in lines[1:] if "=" in line)
    _require(len(fields) == len(lines) - 1, f"{where} has a line that is no field, or a field twice")
    leaves = _numbers(fields.get("num_leaves", ""), int, f"{where} num_leaves")
    _require(len(leaves) == 1 and 1 <= leaves[0] <= 10_000, f"{where} has no sane num_leaves")
    _require(
        fields.get("num_cat") == "0" and fields.get("is_linear") == "0", f"{where} has categories or linear leaves"
    )
    allowed = {*_NODE_KEYS, *_LEAF_KEYS, *_PLAIN_KEYS}
    _require(set(fields) <= allowed, f"{where} has fields {sorted(set(fields) - allowed)}")
    nodes, values = leaves[0] - 1, _numbers(fields.get("leaf_value", ""), float, where)
    # A threshold may be infinite (missing values to one side, all others to the other); a forecast may not.
    _require(
        len(values) == leaves[0] and bool(np.isfinite(values).all()), f"{where} lacks a finite value for each leaf"
    )
    if nodes == 0:
        return
    for keys, count in ((_NODE_KEYS, nodes), (_LEAF_KEYS, leaves[0])):
        for key in keys:
            _require(
                len(_numbers(fields.get(key, ""), float, f"{where} {key}")) == count, f"{where} {key} is too short"
            )
    split, decision, left, right = (
        _numbers(fields[key], int, f"{where} {key}")
        for key in ("split_feature", "decision_type", "left_child", "right_child")
    )
    _require(all(0 <= feature < width for feature in split), f"{where} splits on a feature that is not there")
    _require(set(decision) <= _DECISIONS, f"{where} has a decision of unknown type")
    # Children: node n > 0 as n, leaf k as -k - 1. Each is the child of one node, and a node's child comes after it.
    _require(sorted(left + right) == [*range(-leaves[0], 0), *range(1, nodes)], f"{where} is no tree")
    later = all(child < 0 or child > node for side in (left, right) for node, child in enumerate(side))
    _require(later, f"{where} points back up")


def check_lightgbm(content: bytes, width: int) -> str:
    """LightGBM's text, proved to hold nothing but sound trees on `width` features.

    Raises:
        InputError: it does not.
    """
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError("The model file is not one that Project01 writes: it is not text.") from error
    _require(text.startswith("tree\n") and text.endswith(LIGHTGBM_END), "it is no LightGBM model")
    header, _, rest = text.removesuffix(LIGHTGBM_END).partition("\n\n")
    lines = header.split("\n")[1:]
    fits = len(lines) == len(_HEADER) and all(line.startswith(key) for line, key in zip(lines, _HEADER, strict=False))
    _require(fits, "its header is another")
    _require(lines[4] == f"max_feature_idx={width - 1}", f"it is not on {width} features")
    _require(len(lines[6].split(" ")) == width and len(lines[7].split(" ")) == width, "its header is another")
    sizes = _numbers(lines[8].partition("=")[2], int, "tree_sizes")
    # LightGBM jumps to each tree by these sizes.
    _require(all(size > 0 for size in sizes) and sum(sizes) == len(rest.rstrip("\n")) + 3, "its tree sizes are wrong")
    start = 0
    for number, size in enumerate(sizes):
        tree, start = rest[start : start + size], start + size
        _require(tree.startswith(f"Tree={number}\n") and tree.count("Tree=") == 1, "its tree sizes are wrong")
        _check_lightgbm_tree(tree, width, f"tree {number}")
    return text


def _check_xgboost_tree(tree: Any, width: int, where: str) -> None:
    _require(isinstance(tree, dict), f"{where} is no object")
    arrays = {key: tree.get(key) for key in _XGBOOST_ARRAYS}
    _require(all(isinstance(values, list) for values in arrays.values()), f"{where} lacks an array")
    _require(all(tree.get(key) == [] for key in _XGBOOST_CATEGORIES), f"{where} has categories")
    nodes = len(arrays["parents"])
    _require(1 <= nodes <= 20_000 and all(len(values) == nodes for values in arrays.values()), f"{where} is uneven")
    whole = ("left_children", "right_children", "parents", "split_indices", "default_left", "split_type")
    _require(all(type(v) is int for key in whole for v in arrays[key]), f"{where} holds no whole numbers")
    real = [v for key in _XGBOOST_ARRAYS if key not in whole for v in arrays[key]]
    _require(all(type(v) in {int, float} and np.isfinite(v) for v in real), f"{where} holds no finite numbers")
    parameters = {"num_deleted": "0", "num_feature": str(width), "num_nodes": str(nodes), "size_leaf_vector": "1"}
    _require(tree.get("tree_param") == parameters, f"{where} has other parameters")
    _require(all(0 <= v < width for v in arrays["split_indices"]), f"{where} splits on a feature that is not there")
    _require(set(arrays["default_left"]) <= {0, 1} and set(arrays["split_type"]) == {0}, f"{where} has unknown splits")
    _check_xgboost_links(arrays["left_children"], arrays["right_children"], arrays["parents"], where)


def _check_xgboost_links(left: Sequence[int], right: Sequence[int], parents: Sequence[int], where: str) -> None:
    above = {0: _XGBOOST_ROOT}
    for node, (one, other) in enumerate(zip(left, right, strict=True)):
        if one == other == -1:
            continue
        _require(node < one < len(left) and node < other < len(left) and one != other, f"{where} points outside itself")
        _require(one not in above and other not in above, f"{where} is no tree")
        above |= {one: node, other: node}
    _require([above.get(node) for node in range(len(left))] == list(parents), f"{where} is no tree")


def check_xgboost(content: bytes, width: int) -> bytes:
    """XGBoost's JSON, proved to hold nothing but sound trees on `width` features.

    Raises:
        InputError: it does not.
    """
    try:
        learner = msgspec.json.decode(content)["learner"]
        booster, objective = learner["gradient_booster"], learner["objective"]["name"]
        model, shape = booster["model"], learner["learner_model_param"]
        trees, count = model["trees"], model["gbtree_model_param"]["num_trees"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise InputError(f"The model file is not one that Project01 writes: {error}.") from error
    _require(
        booster.get("name") == "gbtree" and objective == "reg:squarederror", "it is no tree model on squared error"
    )
    fits = shape.get("num_feature") == str(width) and shape.get("num_class") == "0" and shape.get("num_target") == "1"
    _require(fits, f"it is not on {width} features")
    base = re.fullmatch(r"\[?(-?[0-9.]+(E-?[0-9]+)?)\]?", str(shape.get("base_score")))
    _require(base is not None, "it has no base value")
    _require(isinstance(trees, list) and count == str(len(trees)), "its number of trees is wrong")
    _require(model.get("tree_info") == [0] * len(trees), "its trees are for another target")
    steps = model.get("iteration_indptr")
    _require(steps == list(range(len(trees) + 1)), "its rounds hold another number of trees")
    _require(model.get("cats") == {"enc": [], "feature_segments": [], "sorted_idx": []}, "it has categories")
    for number, tree in enumerate(trees):
        _check_xgboost_tree(tree, width, f"tree {number}")
    return content
