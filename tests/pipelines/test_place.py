import threading
from pathlib import Path

from project01.pipelines.place import Place


def test_only_one_curates_at_a_time(tmp_path: Path) -> None:
    second_in = threading.Event()

    def second() -> None:
        with Place(tmp_path).curating():
            second_in.set()

    waiting = threading.Thread(target=second)
    with Place(tmp_path).curating():
        waiting.start()
        assert not second_in.wait(0.3)
    waiting.join(10)
    assert second_in.is_set()
