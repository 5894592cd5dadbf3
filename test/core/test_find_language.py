"""Where a root's texts are."""

from __future__ import annotations

from pathlib import Path

from aln_p3_core.datasets.language_files import find_language


def test_files_of_a_split(tmp_path: Path) -> None:
    assert not find_language(tmp_path, "train").any
    folder = tmp_path / "language"
    folder.mkdir()
    names = ("Nu_X_train.json", "NuScenes_train_questions.json", "final_caption_bbox_token.json", "v1_1_train_nus.json")
    for name in names:
        (folder / name).touch()
    found = find_language(tmp_path, "train")
    assert (found.nu_x, found.questions, found.tod3cap, found.drivelm) == tuple(folder / name for name in names)
    assert find_language(folder, "train") == found, "the folder itself may be named"
    assert find_language(tmp_path, "mini_train") == found, "mini's samples are in the files of the whole split"
    other = find_language(tmp_path, "val")
    assert other.nu_x is None and other.tod3cap == found.tod3cap, "captions of all splits are in one file"
    (folder / "Nu_X_mini_train.json").touch()
    assert find_language(tmp_path, "mini_train").nu_x == folder / "Nu_X_mini_train.json", "its own file comes first"
    (folder / "v1_1_val_nus_q_only.json").touch()
    assert find_language(tmp_path, "val").drivelm == folder / "v1_1_val_nus_q_only.json"
