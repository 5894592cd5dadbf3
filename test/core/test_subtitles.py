"""Subtitles: a band of one height, red where the words are wrong."""

from __future__ import annotations

import numpy as np

from aln_p3_core.drawing import palette
from aln_p3_core.drawing.subtitles import Subtitle, SubtitleBand

SHORT = Subtitle(1.0, "the car goes straight", "the road is free")
LONG = Subtitle(3.0, "the car slows down " * 12, "a pedestrian crosses the road ahead " * 5)
WRONG = Subtitle(5.0, "the car stops", "a bus is ahead", ("says it stops, the plan goes on",))


def reddish(image: np.ndarray) -> int:
    """Pixels that are much more red than green."""
    return int((image[..., 0].astype(int) - image[..., 1] > 60).sum())


def test_all_bands_of_a_film_have_one_size_that_holds_the_longest() -> None:
    band = SubtitleBand([SHORT, LONG, WRONG], 900)
    pictures = [band.draw(subtitle) for subtitle in (None, SHORT, LONG, WRONG)]
    assert {picture.shape for picture in pictures} == {(band.height, 900, 3)}
    assert band.height > SubtitleBand([SHORT], 900).height
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) == 1, "nothing is said"
    for picture in pictures[1:]:
        assert picture.max() > 150
        # The last line is whole: nothing is written on the lowest pixels, and nothing at the sides.
        assert (picture[-3:, 20:] == palette.SURFACE).all() and (picture[:, -5:] == palette.SURFACE).all()


def test_words_that_contradict_are_red() -> None:
    band = SubtitleBand([SHORT, WRONG], 900)
    assert reddish(band.draw(SHORT)) == 0
    assert reddish(band.draw(WRONG)) > 200


def test_without_words_there_is_no_band() -> None:
    assert SubtitleBand([], 900).height == 0


def test_line_feeds_do_not_make_a_band_higher() -> None:
    feeds = Subtitle(1.0, "the car\n\n\ngoes straight", "the road\nis free")
    assert SubtitleBand([feeds], 900).height == SubtitleBand([SHORT], 900).height
    np.testing.assert_array_equal(SubtitleBand([feeds], 900).draw(feeds), SubtitleBand([SHORT], 900).draw(SHORT))
