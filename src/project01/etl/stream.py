"""The same steps, one bar at a time: state that can be kept and taken up again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_for
from project01.etl.inputs import given_inputs

ONE_ROW = np.array([0, 1], dtype=np.int64)


class StreamState:
    """Series features of one instrument, updated bar by bar; equal to the batch to the bit.

    Attributes:
        inputs: names of the values each bar comes with, in order.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        """State before the first bar.

        Args:
            features: series features; cross-sectional ones need the whole session and are refused.
        Raises:
            InputError: a cross-sectional feature.
        """
        ranks = [feature.name for feature in features if feature.kind != "series"]
        if ranks:
            raise InputError(f"{', '.join(ranks)} rank a whole session; a stream of one instrument cannot.")
        self._kernel = kernel_for(features)
        self.inputs = tuple(given_inputs(features[0].clock))
        self._plan = self._kernel.plan(self.inputs, [feature.name for feature in features])
        self._state = np.zeros((1, self._kernel.state_size))
        self._inputs = np.empty((len(self.inputs), 1))
        self._out = np.empty((len(features), 1), dtype=np.float32)

    def update(self, bar: Sequence[float] | FloatArray) -> NDArray[np.float32]:
        """Take in one bar.

        Args:
            bar: values of `inputs` in order, NaN where missing.
        Returns:
            Shape (n_features,), NaN where a feature is missing.
        Raises:
            InputError: another number of values.
        """
        if len(bar) != len(self.inputs):
            raise InputError(f"A bar has {len(self.inputs)} values ({', '.join(self.inputs)}); found {len(bar)}.")
        self._inputs[:, 0] = bar
        self._plan.advance(ONE_ROW, 0, 1, self._inputs, self._state, self._out)
        return self._out[:, 0].copy()

    def to_bytes(self) -> bytes:
        """The state, headed by the identity of the definitions it belongs to."""
        return bytes.fromhex(self._kernel.digest) + self._state.astype("<f8").tobytes()

    def restore(self, content: bytes) -> None:
        """Take up a kept state.

        Raises:
            InputError: it belongs to other feature definitions, or is cut short.
        """
        head = bytes.fromhex(self._kernel.digest)
        if content[: len(head)] != head or len(content) != len(head) + 8 * self._state.size:
            raise InputError("This state was kept by other feature definitions. Compute it again from the bars.")
        self._state[0] = np.frombuffer(content[len(head) :], dtype="<f8")
