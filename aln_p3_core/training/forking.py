"""Forking without OpenCV's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def without_opencv_threads() -> Iterator[None]:
    """OpenCV works in the calling thread alone, here and in what is forked here.

    A forked process has none of its parent's threads but all of their locks: the first OpenCV call that wants the pool
    of threads could wait for ever. So the pool is ended before the fork.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
