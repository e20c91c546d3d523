"""How much of a disk a cache may take."""

import contextlib
import os
import threading
from pathlib import Path

from mistral_operator.hub.cache_space import CacheSpace

KIB = 1024


def write(space: CacheSpace, path: Path, size: int, age: int = 0) -> None:
    """Write a file as the cache does, of so many seconds ago."""
    space.make_room(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


def on_disk(root: Path) -> int:
    """Return what a kubelet counts."""
    return sum(path.stat().st_blocks * 512 for path in root.rglob("*"))


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    """Whichever folder they lie in; and folders that are empty then go with them."""
    space = CacheSpace(tmp_path, 200 * KIB)
    for number in range(40):
        write(space, tmp_path / f"token-{number % 3}" / f"model-{number}" / "a.json", 10 * KIB, age=100 - number)
    left = sorted(int(path.parent.name[6:]) for path in tmp_path.rglob("a.json"))
    assert left == list(range(40 - len(left), 40))
    assert 5 <= len(left) <= 10
    assert len(list(tmp_path.glob("token-*/*"))) == len(left)


def test_what_lay_there_before_counts(tmp_path: Path) -> None:
    """A process that is restarted goes on with the same folder."""
    before = CacheSpace(tmp_path, 1 << 30)
    for number in range(40):
        write(before, tmp_path / f"{number}.json", 10 * KIB, age=100 - number)
    write(CacheSpace(tmp_path, 200 * KIB), tmp_path / "new.json", 10 * KIB)
    assert on_disk(tmp_path) < 200 * KIB
    assert (tmp_path / "new.json").exists()


def test_small_files_take_whole_blocks(tmp_path: Path) -> None:
    """Ten thousand names of branches are forty megabytes to a file system."""
    space = CacheSpace(tmp_path, 400 * KIB)
    for number in range(300):
        write(space, tmp_path / f"folder-{number}" / f"{number}.txt", 40, age=1000 - number)
    assert on_disk(tmp_path) <= 400 * KIB


def test_many_threads_share_one_bound(tmp_path: Path) -> None:
    """Readers store at the same time."""
    space = CacheSpace(tmp_path, 400 * KIB)

    def store(thread: int) -> None:
        for number in range(50):
            with contextlib.suppress(OSError):  # a folder that went between two steps: the cache does without
                write(space, tmp_path / f"{thread}" / f"{number}.json", 9 * KIB, age=100 - number)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert on_disk(tmp_path) <= 450 * KIB


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Nothing was stored yet."""
    CacheSpace(tmp_path / "none", 100 * KIB).make_room(10)
    assert not (tmp_path / "none").exists()
