"""Comparisons, audits, batches, checks."""

import pytest

import sidelight as sl
from conftest import SMALL

QUICK = {**SMALL, "quick": True, "folds": 2, "settings": {"train.freeze_epochs": 1}}


@pytest.fixture(scope="module")
def answer(frame, rows, folder):
    return sl.compare(rows.assign(colour=frame["colour"]), "colour", images=folder, **QUICK)


def test_an_answer_has_a_verdict_doubts_and_a_table(answer):
    assert answer.verdict in ("helps", "helps_but_spurious", "no_evidence", "harms")
    assert answer.sentence and isinstance(answer.doubts, list)
    assert {"image", "metadata", "stacked", "shuffled"} <= set(answer.table["name"])
    assert set(answer.predictions["arm"]) >= {"image", "stacked"}


def test_an_answer_in_a_notebook(answer):
    shown = answer._repr_html_()
    assert answer.sentence.split(":")[0] in shown and "<table>" in shown
    assert "<iframe" in answer.show()._repr_html_()


def test_a_comparison_goes_on_with_what_is_finished(frame, rows, folder, tmp_path):
    data = rows.assign(colour=frame["colour"])
    told = {"images": folder, "out": tmp_path / "answer", "arms": ["metadata", "both"], **QUICK}
    first = sl.compare(data, "colour", **told)
    jobs = []
    second = sl.compare(data, "colour", progress=lambda event: jobs.append(event) if event and event["event"] == "job" else None, **told)
    assert not jobs
    assert second.answer == first.answer
    with pytest.raises(sl.SidelightError):
        sl.compare(data, "colour", **{**told, "seed": 5})


def test_an_arm_that_is_none(frame, rows, folder, tmp_path):
    with pytest.raises(sl.SidelightError, match="picture"):
        sl.compare(rows.assign(colour=frame["colour"]), "colour", images=folder, out=tmp_path / "answer", arms=["picture"], **QUICK)


def test_a_folder_without_an_answer(tmp_path):
    with pytest.raises(sl.RunError):
        sl.Comparison(tmp_path)


def test_an_audit_advises_on_every_column(frame, rows, folder):
    page = sl.audit(rows.assign(colour=frame["colour"]), "colour", images=folder)
    assert {"is_dirty", "source", "shutter"} <= set(page.table[page.table.columns[0]])
    assert page._repr_html_().startswith("<iframe") and "<html" in page.html


def test_a_batch_is_shown(frame, rows, folder, trained, tmp_path):
    page = sl.show(rows.assign(colour=frame["colour"]), "colour", images=folder, rows=4, size=32)
    assert "data:image" in page.html and "sidelight-" not in page.html.split("</h1>")[0]
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html
    assert "accuracy" in sl.show(trained.path).html or sl.show(trained.path).html


def test_problems_are_listed(frame, rows, folder):
    assert len(sl.check(rows.assign(colour=frame["colour"]), "colour", images=folder)) == 0
    broken = rows.assign(colour=frame["colour"], file_name=["gone.png", *rows["file_name"][1:]])
    found = sl.check(broken, "colour", images=folder)
    assert "gone.png" in found.to_string()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.84125, "0.8413"), (1234.5, "1234"), (142687.6, "142\u202f700"), (-1.5e6, "-1\u202f500\u202f000"), (None, "–"), (float("nan"), "–"), (float("inf"), "inf"), (True, "True"), ("a", "a")],
)
def test_numbers_are_as_long_as_they_are_sure(value, text):
    from sidelight._html import number

    assert number(value) == text


def test_text_of_the_person_is_escaped():
    from sidelight._html import paragraph, page, table

    assert "<script>" not in paragraph("<script>") + table(["<script>"], [["<script>"]]) + page('"><script>')
