"""``seisml report``: what runs have left, on one page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import vl_convert

from seisml.cli import main
from seisml.report.compose import ReportOptions, compose
from seisml.report.page import render
from seisml.report.parts import Chart, Part
from seisml.report.vega import CONFIG
from tests.report.folders import write_folds, write_picture, write_run


def every(parts: list[Part]) -> list[Part]:
    return [one for part in parts for one in (part, *every(part.inner))]


def charts(parts: list[Part]) -> list[Chart]:
    return [chart for part in every(parts) for chart in part.charts]


def captions(parts: list[Part]) -> list[str]:
    return [table.caption for part in every(parts) for table in part.tables]


def text(parts: list[Part], caption: str) -> list[list[str]]:
    (table,) = [table for part in every(parts) for table in part.tables if table.caption == caption]
    return [table.head, *([f"{cell.text} {cell.note}".strip() for cell in row] for row in table.rows)]


class Tags(HTMLParser):
    """Names, attributes and texts of a page's tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_one_run_is_told_whole(tmp_path: Path) -> None:
    page = compose([write_run(tmp_path / "mine")], ReportOptions())
    assert page.title == "mine" and not page.problems
    titles = ["Results", "Classes", "Curves", "Figures", "Data", "How to reproduce"]
    assert [part.title for part in page.parts] == titles
    assert text(page.parts, "Metrics")[1] == ["accuracy", "0.800 [0.700, 0.900]", "0.400"]
    assert text(page.parts, "Classes")[1] == ["blast", "20", "0.700 [0.600, 0.800]", "0.500", "0.600"]
    assert text(page.parts, "Parts of the data")[1] == ["train", "40", "20"]
    assert [chart.title.partition(":")[0] for chart in charts(page.parts)] == [
        "Loss", "Accuracy", "Precision and recall over all thresholds", "Calibration",
    ]  # fmt: skip
    assert [picture.alt for part in page.parts for picture in part.pictures] == [
        "Test events: waveform, spectrogram, and what the network answers"  # its training curves are a chart
    ]
    again = page.parts[-1]
    assert again.code[0] == (
        "Command", "python finetune.py --config configs/finetune.yaml seed=0 exp_params.LR=0.001"
    )  # fmt: skip
    assert dict(again.facts)["Hash of the split"] == "73cd25309a" and dict(again.facts)["torch version"] == "2.9"


def test_charts_are_valid_and_show_the_logged_numbers(tmp_path: Path) -> None:
    page = compose([write_run(tmp_path / "mine")], ReportOptions())
    for chart in charts(page.parts):
        assert "<svg" in vl_convert.vegalite_to_svg({**chart.spec, "config": CONFIG}) and chart.alt.endswith(".")
    loss = charts(page.parts)[0]
    train = [value["y"] for value in loss.spec["data"]["values"] if value["name"] == "train loss"]
    np.testing.assert_allclose(train, np.exp(-np.arange(5) / 2))
    assert loss.numbers is not None and len(loss.numbers.rows) == 10


def test_a_sweep_is_one_table_and_repeats_are_averaged(tmp_path: Path) -> None:
    for number, (rate, seed, accuracy) in enumerate([(0.1, 0, 0.7), (0.1, 1, 0.8), (0.2, 0, 0.75), (0.2, 1, 0.87)]):
        write_run(tmp_path / "sweep" / str(number), accuracy, seed, rate, split_hash=f"split{seed}")
    page = compose([tmp_path / "sweep"], ReportOptions())
    assert [part.title for part in page.parts][:3] == ["Results", "What differs", "Training"]
    assert [row[:2] for row in text(page.parts[:1], "Metrics")[1:]] == [
        ["0: seed=0, LR=0.1", "0.700 [0.600, 0.800]"], ["1: seed=1, LR=0.1", "0.800 [0.700, 0.900]"],
        ["2: seed=0, LR=0.2", "0.750 [0.650, 0.850]"], ["3: seed=1, LR=0.2", "0.870 [0.770, 0.970]"],
    ]  # fmt: skip
    means = text(page.parts, "Means over seeds")
    assert [row[:3] for row in means[1:]] == [["LR=0.1", "2", "0.750 ± 0.071"], ["LR=0.2", "2", "0.810 ± 0.085"]]
    differs = text(page.parts, "Settings that differ")
    assert ["exp_params.LR", "0.1", "0.1", "0.2", "0.2"] in differs and not any("out" in row[0] for row in differs)
    paired = text(page.parts, "Accuracy: difference to LR=0.1, over the same splits")
    assert paired[1][:2] == ["LR=0.2", "2"] and paired[1][2].startswith("+0.060 [")


def test_folds_have_a_mean_and_a_spread(tmp_path: Path) -> None:
    page = compose([write_folds(tmp_path / "folds")], ReportOptions())
    assert [row[0] for row in text(page.parts, "Folds")[1:]] == ["fold0", "fold1", "fold2", "mean"]
    assert text(page.parts, "Metrics")[1][1] == "0.800 ± 0.100"
    two = compose([tmp_path / "folds", write_folds(tmp_path / "other", (0.8, 0.9, 0.95), 0.01)], ReportOptions())
    assert text(two.parts, "Accuracy: difference to LR=0.001, over the same splits")[1][1] == "3"


def test_what_is_broken_costs_its_part_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    (run / "figures" / "gallery.png").write_bytes(b"<svg onload=alert(1)>")
    (run / "metrics.csv").write_bytes(b"\x00\xff\n1,2\n")
    (run / "split.csv").unlink()
    (run / "config.yaml").write_text("a: [1", encoding="utf-8")
    (run / "predictions.csv").write_text("true,probability_a\na,7\n", encoding="utf-8")
    page = compose([run], ReportOptions())
    assert text(page.parts, "Metrics")[1][1] == "0.800 [0.700, 0.900]"
    said = "\n".join(page.problems)
    assert "gallery.png: is not a PNG" in said and "config.yaml: is not YAML" in said
    assert "predictions.csv: holds probabilities" in said and "metrics.csv" in said
    assert len(page.problems) == 4 and all("\n" not in problem for problem in page.problems)
    for name in ("metrics.json", "config.yaml", "predictions.csv", "metrics.csv"):
        (run / name).write_text("", encoding="utf-8")
    assert render(compose([run], ReportOptions()))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", "a: &a [1, 2]\nb: *a\n", "has aliases"),
        ("config.yaml", "a: !!python/object/apply:os.system ['true']\n", "is not YAML"),
        ("metrics.json", "[" * 100_000, "is not JSON"),
        ("metrics.json", json.dumps({"a": [0] * 200_000}), "holds more than"),
    ],
)
def test_hostile_files_are_refused_in_a_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    run = write_run(tmp_path / "mine")
    (run / name).write_text(content, encoding="utf-8")
    assert words in "\n".join(compose([run], ReportOptions()).problems)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("true,probability_secret\nsecret,1\n", encoding="utf-8")
    run = write_run(tmp_path / "mine")
    (run / "predictions.csv").unlink()
    (run / "predictions.csv").symlink_to(tmp_path / "secret.csv")
    page = compose([run], ReportOptions())
    assert "secret" not in render(page).replace(str(tmp_path), "") and "predictions.csv" in page.problems[0]


def test_whatever_data_say_is_text(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    run = write_run(tmp_path / "a<b>&", classes=(evil, "</script><img src=x onerror=alert(1)>", "{{ 7 * 7 }}"))
    (run / "config.yaml").write_text(f"seed: 1\nmodel_params:\n  name: '{evil}'\n", encoding="utf-8")
    html = render(compose([run], ReportOptions(title="</title><script>alert(2)</script>")))
    tags = Tags(html).tags
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "charts"}, {}, {}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in html and evil not in html and "alert(2)</script>" not in html


def test_the_page_asks_nobody(tmp_path: Path) -> None:
    html = render(compose([write_run(tmp_path / "mine")], ReportOptions()))
    tags = Tags(html).tags
    for tag, attributes in tags:
        for name in ("src", "href", "action", "poster", "data", "srcset"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag, address)
    (policy,) = [attributes["content"] or "" for tag, attributes in tags if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"@import|url\(", html.partition("<body>")[0])


def test_pictures_are_bounded_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    for number in range(5):
        write_picture(run / "figures" / f"more_{number}.png")
    page = compose([run], ReportOptions(pictures=2))
    assert sum(len(part.pictures) for part in page.parts) == 2
    assert page.problems == ["4 pictures found no place: --pictures 2 takes no more"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing: is not a folder"),
        (["empty"], "holds nothing that seisml has left"),
        (["mine", "--out", "page.pdf"], "ends in .html"),
        (["mine", "--out", "other.html"], "not a page of seisml report"),
        (["mine", "--pictures", "-1"], "--pictures"),
        (["mine", "--within", "-1"], "--within"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.html").write_text("<p>mine", encoding="utf-8")
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == "<p>mine"


def test_the_command_writes_the_page_and_writes_it_anew(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "mine")
    assert main(["report", "mine", "--out", "page.html"]) == 0
    assert main(["report", "mine", "--out", "page.html"]) == 0
    assert "page.html (" in capsys.readouterr().out
    assert (tmp_path / "page.html").stat().st_size < 1.3 * 2**20
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".html"] == ["page.html"]


def test_a_page_needs_no_pytorch(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    script = (
        "import pathlib, sys; import seisml.commands.report, seisml.report.write; "
        "from seisml.report.compose import ReportOptions, compose; "
        f"compose([pathlib.Path({str(run)!r})], ReportOptions()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
