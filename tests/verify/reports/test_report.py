"""Reports from one result: what each form says, above all of what was not run."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from paddle2torch.errors import MissingDependencyError, OutputError, UnreadableFileError
from paddle2torch.verify.job import ALL_CHECKS, CHECKS
from paddle2torch.verify.reports import files
from paddle2torch.verify.reports.chart import draw, panels
from paddle2torch.verify.reports.files import Reports, command_line
from paddle2torch.verify.reports.gate_result import GateResult, ModelResult
from paddle2torch.verify.reports.hints import hint
from paddle2torch.verify.reports.html import html_page
from paddle2torch.verify.reports.junit import junit_xml
from paddle2torch.verify.reports.markdown import markdown, workflow_commands
from paddle2torch.verify.reports.result import TO_PADDLE, CheckResult, DeclaredDifferenceSeen, Report
from paddle2torch.verify.reports.text import gate_footer, print_gate, report_lines

HOSTILE = "<script>alert(1)</script>|`x`\n::error::\x00\ud800 $x$ 文字"

Seeded = Callable[..., Path]
Run = Callable[..., Any]


def states(dtype: str, difference: float = 1e-15, layers: int = 3) -> list[dict[str, Any]]:
    limit = 1e-9 if dtype == "float64" else 1e-4
    names = [f"hidden_state.{n:02d}" for n in range(layers + 1)] + [
        "attention.00",
        "last_hidden_state",
        "pooler_output",
    ]
    return [{"name": name, "difference": difference, "scale": 2.0, "limit": limit} for name in names]


def make_check(name: str, passed: bool = True, **details: Any) -> CheckResult:
    problems = () if passed else (f"{name} differs at [0, 1]", f"{name} differs at [0, 2]")
    return CheckResult(name, passed, 1e-15, 1e-9, "somewhere", "difference", problems, details)


def make_report(failed: str = "", not_run: tuple[str, ...] = ("gradients",), **fields: Any) -> Report:
    details: dict[str, dict[str, Any]] = {
        "float64": {"states": states("float64", 1e-3 if failed == "float64" else 1e-15)},
        "float32": {"states": states("float32", 1e-7)},
        "layers": {
            "states": [{**state, "dtype": dtype} for dtype in ("float64", "float32") for state in states(dtype)]
        },
        "embeddings": {"coverage": {"vocabulary": {"rows": 1000, "forward": 46, "check": 999}}},
    }
    values: dict[str, Any] = {
        "source": "models/paddle",
        "converted": "models/converted",
        "architecture": "AlbertModel",
        "weights": "seeded",
        "parameters": 1234567,
        "tensors": 25,
        "checks": tuple(
            make_check(name, name != failed, **details.get(name, {})) for name in ALL_CHECKS if name not in not_run
        ),
        "not_run": not_run,
        "declared_differences": (DeclaredDifferenceSeen("padding_row", "what differs", 6.5),),
        "inputs_digest": "ab" * 32,
        "versions": {"torch": "2.13.0", "paddlepaddle": "3.3.1"},
        "seconds": {"total": 2.5},
        "files": {"source": {"model_state.pdparams": {"sha256": "cd" * 32, "bytes": 12}}, "output": {}},
        "command": "paddle2torch verify models/paddle models/converted",
    }
    return Report(**{**values, **fields})


def make_result(*models: tuple[str, Report | str], **fields: Any) -> GateResult:
    made = [
        ModelResult(name, None, given, 0.5) if isinstance(given, str) else ModelResult(name, given, None, 2.5)
        for name, given in models
    ]
    return GateResult(tuple(made), **{"command": "paddle2torch gate --all", "date": "2026-03-01T12:00:00Z", **fields})


MIXED = make_result(
    ("good", make_report()),
    ("bad", make_report("float64")),
    ("partial", make_report(not_run=tuple(name for name in ALL_CHECKS if name != "weights"))),
    ("absent", "Paddle was killed"),
)


def json_without_constants(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_names_what_is_not_finite(tmp_path: Path) -> None:
    seen = DeclaredDifferenceSeen("d", "t", math.inf)
    check = CheckResult("float64", False, math.nan, 1e-9, "", "", ("x",), {"states": [{"difference": -math.inf}]})
    report = make_report(checks=(check,), declared_differences=(seen,))
    files.write_json(tmp_path / "new" / "report.json", make_result(("m", report)).to_json())
    document = json_without_constants((tmp_path / "new" / "report.json").read_text())
    found = document["models"][0]["report"]
    assert found["checks"][0]["worst"] == "nan"
    assert found["checks"][0]["details"]["states"][0]["difference"] == "-inf"
    assert found["declared_differences"][0]["measured"] == "inf"
    assert found["files"]["source"]["model_state.pdparams"]["bytes"] == 12
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["date"])
    assert found["tool"].startswith("paddle2torch ")


def test_junit_has_a_case_per_model_and_check() -> None:
    root = ElementTree.fromstring(junit_xml(MIXED))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["good", "bad", "partial", "absent"]
    for name in ("good", "bad", "partial"):
        assert [case.get("name") for case in suites[name].iter("testcase")] == sorted(
            ALL_CHECKS, key=lambda check: (name == "partial" and check != "weights", ALL_CHECKS.index(check))
        )
    failures = list(root.iter("failure"))
    assert len(failures) == 1
    first, second, following = str(failures[0].text).split("\n")
    assert (first, second) == ("float64 differs at [0, 1]", "float64 differs at [0, 2]")
    assert following.startswith("next: the check layers, ")
    assert len(list(suites["good"].iter("skipped"))) == 1
    assert len(list(suites["partial"].iter("skipped"))) == len(ALL_CHECKS) - 1
    error = next(suites["absent"].iter("error"))
    assert error.get("message") == "not run: Paddle was killed"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == (str(3 * len(ALL_CHECKS) + 1), "1", "1")
    assert suites["good"].get("time") == "2.5"


def test_faults_are_shown_and_an_escaped_one_is_a_failure() -> None:
    faults = (
        {"fault": "key bias dropped", "caught_by": ["weights"], "where": "key.bias"},
        {"fault": "gelu", "caught_by": (), "where": None},
        {"fault": "norms swapped", "injected": False, "caught": False, "caught_by": (), "where": "they are equal"},
    )
    result = make_result(("good", make_report()), faults=faults)
    cases = {case.get("name"): case for case in ElementTree.fromstring(junit_xml(result)).iter("testcase")}
    assert cases["key bias dropped"].find("failure") is None
    assert cases["gelu"].find("failure") is not None
    assert cases["norms swapped"].find("failure") is None
    assert cases["norms swapped"].find("skipped") is not None
    assert "1 of 2 caught" in markdown(result)
    assert "Not injected here, because they are equal: norms swapped" in markdown(result)
    assert any("escaped" in line for line in workflow_commands(result))
    page = html_page(result)
    assert "escaped" in page
    assert 'class="verdict failed"' in page.split("<main>")[0]


def test_how_the_source_was_read_is_said_in_every_report() -> None:
    """A note is what a reader of the verdict must know, whichever report is kept."""
    note = "every name begins with `module.` in <the file>, which is a guess"
    uncovered = "a mask: <the model> takes none"
    report = make_report(notes=(note, "a second one"), not_covered=(uncovered,), no_certificate="not asked for")
    result = make_result(("noted", report), ("plain", make_report()))
    assert f"  note: {note}" in report_lines(report)
    summary = re.sub(r"\\(.)", r"\1", markdown(result))
    said = (f"note: {note}", "note: a second one", f"not covered: {uncovered}", "no certificate: not asked for")
    assert "".join(f"- noted: {line}\n" for line in said) in summary
    assert "plain: note" not in summary
    page = html_page(result)
    assert page.count("<p>Note: ") == 2
    assert f"<p>Note: {html.escape(note)}</p>" in page
    assert f"<p>Not covered: {html.escape(uncovered)}</p>" in page
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(junit_xml(result))}
    noted = {one.get("name"): one.get("value") for one in suites["noted"].iter("property")}
    assert (noted["note 1"], noted["note 2"], noted["not covered 1"]) == (note, "a second one", uncovered)
    assert not [one for one in suites["plain"].iter("property") if str(one.get("name")).startswith("note")]


def test_what_was_not_run_never_looks_passed() -> None:
    partial = make_result(("partial", MIXED.models[2].report or ""))
    nothing = make_result(("absent", "Paddle was killed"))
    for result, words in ((partial, "passed in part"), (nothing, "not run")):
        page = html_page(result)
        head = page.split("<main>")[0]
        assert words in head
        assert f"<h1>{result.models[0].name}: {words}</h1>" in head
        assert 'class="verdict passed"' not in head
        summary = markdown(result)
        assert words in summary
        assert "✅" not in summary
    assert 'class="verdict passed"' not in html_page(nothing).split("</style>")[1]
    assert "checks not run" in workflow_commands(partial)[-1]
    assert workflow_commands(nothing)[0].startswith("::error title=paddle2torch%3A absent%3A not run::")
    most = len(ALL_CHECKS) - 1
    last = report_lines(make_report(not_run=("config",)))[-1]
    assert last.startswith(f"passed in part ({most} of {most + 1} checks passed, 1 not")


def test_what_was_measured_is_shown_although_another_check_fails_at_the_same_place() -> None:
    report = make_report()
    measured = [
        replace(make_check(name, False), worst=worst, limit=1e-9)
        for name, worst in (("float64", 0.5), ("float32", 0.25))
    ]
    lost = [replace(make_check(name, False), worst=None, limit=None) for name in ("config", "layers")]
    checks = tuple(replace(check, where="at one place") for check in (*lost, *measured))
    lines = report_lines(replace(report, checks=checks))
    assert [line.strip() for line in lines if "FAILED:" in line] == [
        "config  FAILED: at one place",
        "layers  FAILED: as config",
        "float64 FAILED: worst 5.00e-01, limit 1.00e-09: at one place",
        "float32 FAILED: worst 2.50e-01, limit 1.00e-09: at one place",
    ]


@pytest.mark.parametrize("name", ALL_CHECKS)
def test_a_failure_ends_with_what_to_look_at_next(name: str, tmp_path: Path) -> None:
    """A command or a file of this pair; where the gate deleted the folders, how to keep them."""
    (tmp_path / "con verted").mkdir()
    kept = make_report(name, not_run=(), source="paddle", converted=str(tmp_path / "con verted"))
    check = kept.check(name)
    assert check is not None
    text = hint(kept, check)
    assert re.search(r"`[^`]+`|config\.json|the checks? [a-z]+", text)
    assert not re.search(r"[{}]|SOURCE|CONVERTED", text)
    assert "con verted" not in text or f"'{tmp_path / 'con verted'}'" in text
    assert report_lines(kept)[ALL_CHECKS.index(name) + 4].strip() == f"next: {text}"
    gone = make_report(name, not_run=())
    assert hint(gone, check).endswith("; `gate --keep DIR` keeps both folders")
    back = make_report(name, not_run=(), converted=str(tmp_path), direction=TO_PADDLE)
    assert ("NEW --to paddle" in hint(back, check)) == (" NEW`" in text)
    result = make_result(("m", kept))
    assert re.sub(r"[`\\]", "", text) in re.sub(r"[`\\]", "", markdown(result))
    assert "Next: " in html_page(result)
    assert gate_footer(result)[-2] == f"m: {name} failed, next: {text}"


def test_the_page_and_its_charts_name_the_same_worst_value() -> None:
    """The state nearest to its limit, which need not be the one with the largest difference."""
    listed = [
        {"name": "hidden_state.00", "difference": 4e-6, "scale": 2.0, "limit": 8e-6},
        {"name": "hidden_state.01", "difference": 9e-6, "scale": 2.0, "limit": 9e-5},
    ]
    check = CheckResult("float32", True, 2e-6, 4e-6, "here", "m", (), {"states": listed})
    (panel,) = panels(make_report(checks=(check,)))
    assert panel.summary.endswith("worst 2.0e-06 (limit 4.0e-06), hidden state 0 (the embeddings)")
    assert [point.label for point in panel.series["float32"]] == ["emb.", "0"]
    page = html_page(make_result(("albert", make_report(checks=(check,)))))
    assert "<h1>albert: passed</h1>" in page
    assert ">2.0e-06</td>" in page
    assert "hidden state 1 (output of layer 0)" in page
    several = html_page(make_result(("albert", make_report(checks=(check,))), ("bert", make_report("float64"))))
    assert "<p>FAILED: bert</p>" in several.split("<main>")[0]


def test_an_optional_check_may_be_left_out_but_is_named() -> None:
    result = make_result(("good", make_report()))
    assert workflow_commands(result) == []
    assert "gradients (optional)" in markdown(result)
    count = len(CHECKS)
    assert report_lines(make_report())[-1] == f"passed ({count} of {count} checks passed, gradients (optional) not run)"
    assert set(CHECKS) == set(ALL_CHECKS) - {"gradients"}


def test_annotations_are_one_line_per_model_and_at_most_ten() -> None:
    many = make_result(*((f"model{n}", make_report("float64")) for n in range(14)))
    lines = workflow_commands(many)
    assert len(lines) == 10
    assert lines[-1].endswith("::" + ", ".join(f"model{n}" for n in range(9, 14)))
    assert lines[0] == "::error title=paddle2torch%3A model0%3A FAILED::float64: somewhere (2 problems)"
    hostile = workflow_commands(make_result(("a,b:c%", "100%\r\n::warning::x")))
    assert hostile == ["::error title=paddle2torch%3A a%2Cb%3Ac%25%3A not run::100%25%0D%0A::warning::x"]


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    check = CheckResult(HOSTILE, False, 1.0, 1.0, HOSTILE, HOSTILE, (HOSTILE,), {"states": [{"name": HOSTILE}]})
    declared = (DeclaredDifferenceSeen(HOSTILE, HOSTILE),)
    report = make_report(
        checks=(check,),
        declared_differences=declared,
        source=HOSTILE,
        command=HOSTILE,
        files={"source": {HOSTILE: {"sha256": HOSTILE}}},
    )
    result = make_result((HOSTILE, report), ("other", HOSTILE), command=HOSTILE)
    reports = Reports(tmp_path / "reports", ["m"], "c")
    reports.finish(result, result.to_json())
    page = (tmp_path / "reports" / "report.html").read_text("utf-8")
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page
    assert "文字" in page
    ElementTree.parse(tmp_path / "reports" / "junit.xml")
    table = (tmp_path / "reports" / "summary.md").read_text("utf-8").split("\n\n")[1].splitlines()
    assert len(table) == 4
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    for line in workflow_commands(result):
        assert line.startswith("::")
        assert "\n" not in line


def test_the_page_loads_nothing_and_is_the_same_every_time() -> None:
    page = html_page(MIXED)
    assert page == html_page(MIXED)
    assert "default-src 'none'" in page
    assert not re.findall(r"https?:|@import|<link|<script|<img|\ssrc=|url\((?!#)", page)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_charts_show_limits_zeros_and_what_is_not_finite() -> None:
    values = [1e-15, 0.0, math.nan, math.inf, 1e-3]
    listed = [
        {"name": f"hidden_state.{n:02d}", "difference": value, "scale": 1.0, "limit": 1e-9}
        for n, value in enumerate(values)
    ]
    (panel,) = panels(make_report(checks=(make_check("float64", states=listed),)))
    assert [point.holds for point in panel.series["float64"]] == [True, True, False, False, False]
    assert "3 of 5 over their limit, worst nan (limit 1.0e-09), hidden state 2 (output of layer 1)" in panel.summary
    for narrow in (False, True):
        svg = draw(panel, narrow=narrow, salt="a")
        ElementTree.fromstring(svg)
        for text in ("equal (0)", "not finite", "limit float64", "over its limit", "10⁻¹⁵"):
            assert f">{text}</text>" in svg
        assert "var(--float64)" in svg
        assert "#0a0b" not in svg
    (fine,) = panels(make_report(checks=(make_check("float64", states=listed[:1]),)))
    svg = draw(fine, narrow=False, salt="a")
    assert "equal (0)" not in svg
    assert "over its limit" not in svg


def test_charts_of_every_check_that_compared_states() -> None:
    listed = [{"name": f"w{n}.weight", "difference": 0.0, "scale": 0.0, "limit": 1e-12} for n in range(3)]
    report = make_report(not_run=())
    report = make_report(checks=(*report.checks, make_check("gradients", states=listed)), not_run=())
    drawn = panels(report)
    assert [(panel.main, sorted(panel.series)) for panel in drawn] == [
        (True, ["float32", "float64"]),
        (True, ["float32", "float64"]),
        (False, ["float32", "float64"]),
        (False, ["float64"]),
    ]
    assert all(point.holds for point in drawn[-1].series["float64"])
    assert panels(make_report(checks=(make_check("weights"), make_check("odd", states=None)))) == []


@pytest.mark.parametrize("details", [{}, {"coverage": []}, {"coverage": "all"}, {"coverage": [{"rows": 2, "x": None}]}])
def test_a_check_may_lack_details(details: dict[str, Any]) -> None:
    check = CheckResult("embeddings", True, None, None, "", "", (), details)
    page = html_page(make_result(("m", make_report(checks=(check,), files={}, versions={}, inputs_digest=None))))
    assert "No chart" in page


def test_a_narrow_terminal_gets_lines_that_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = make_result(("albert-chinese-tiny", make_report()), ("absent", "Paddle was killed"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    print_gate(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "albert-chinese-tiny: passed"
    assert max(map(len, lines)) <= 75
    assert lines[-1] == "1 of 2 passed (seeded weights)"
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    print_gate(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "name"
    assert [len(lines), lines[-1]] == [5, "1 of 2 passed (seeded weights)"]


def test_a_missing_library_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LIBRARIES", ("jinja2", "no_such_library"))
    with pytest.raises(MissingDependencyError, match=r"no_such_library: .* -m pip install jinja2=="):
        Reports(tmp_path, ["m"], "c")
    Reports(None, ["m"], "c")


def test_an_error_leaves_reports_that_say_not_run(tmp_path: Path) -> None:
    old = make_result(("m", make_report()))
    Reports(tmp_path, ["m"], "c", gate=True).finish(old, old.to_json())
    Reports(tmp_path, ["m"], "c", gate=True).model(old.models[0])
    other = tmp_path / "other.json"
    other.write_text("{}")
    reports = Reports(tmp_path, ["m"], "c", gate=True)
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]
    with pytest.raises(UnreadableFileError), reports.guard():
        raise UnreadableFileError("no such file")
    document = json_without_constants((tmp_path / "gate.json").read_text())
    assert (document["passed"], document["error"]) == (False, "no such file")
    assert document["models"][0]["verdict"] == "not run"
    assert "not run" in (tmp_path / "report.html").read_text("utf-8")
    assert next(ElementTree.parse(tmp_path / "junit.xml").iter("error")).text == "no such file"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Reports(tmp_path / "file", ["m"], "c")


def test_the_command_is_quoted() -> None:
    options = {"seeded": True, "check": "a,b", "seed": None, "all": False, "torch_python": "p"}
    assert command_line(["gate", "a b"], options) == "paddle2torch gate 'a b' --seeded --check a,b --torch-python p"
    assert command_line(["gate"], {"torch_python": ("p", "q r")}) == (
        "paddle2torch gate --torch-python p --torch-python 'q r'"
    )


def test_the_command_line_in_github_actions(
    seeded: Seeded, paddle2torch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    (tmp_path / "summary").write_text("before\n")
    source = seeded("AlbertModel")
    assert paddle2torch("convert", source, "out").returncode == 0
    arguments = ("verify", source, "out", "--check", "weights", "--report-dir", "reports", "--json")
    good = paddle2torch(*arguments)
    assert good.returncode == 0, good.stderr
    document = json_without_constants(good.stdout)
    assert document == json_without_constants((tmp_path / "reports" / "report.json").read_text())
    assert set(document["files"]["source"]) == {"model_state.pdparams", "config.json"}
    assert {"model.safetensors", "config.json"} <= set(document["files"]["output"])
    assert document["command"] == f"paddle2torch verify {source} out --check weights"
    assert "::warning title=paddle2torch%3A checks not run::files, config" in good.stderr
    content = bytearray((tmp_path / "out" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "out" / "model.safetensors").write_bytes(content)
    bad = paddle2torch(*arguments)
    assert bad.returncode == 1
    assert (
        sum(line.startswith("::error title=paddle2torch%3A out%3A FAILED::") for line in bad.stderr.splitlines()) == 1
    )
    assert "::error" in paddle2torch(*arguments[:-1]).stdout
    gone = paddle2torch("verify", source, "gone", "--report-dir", "reports", "--json")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "::error title=paddle2torch%3A gone%3A not run::" in gone.stderr
    assert "passed" not in (tmp_path / "reports" / "summary.md").read_text("utf-8").replace("0 of 1 passed", "")
    summary = (tmp_path / "summary").read_text("utf-8")
    assert summary.startswith("before\n## paddle2torch: 1 of 1 passed")
    assert summary.count("## paddle2torch: ") == 4


@pytest.mark.parametrize("name", ["bert-base-uncased", "uer/chinese-roberta-tiny"])
def test_an_earlier_report_of_a_name_is_removed(name: str, tmp_path: Path) -> None:
    """Also where the name has a slash, and its report is in a folder; what lies outside is let alone."""
    earlier, outside = tmp_path / "reports" / f"{name}.json", tmp_path / "kept.json"
    earlier.parent.mkdir(parents=True)
    for path in (earlier, outside):
        path.write_text("{}")
    reports = Reports(tmp_path / "reports", [name, "../kept", "..", "."], "command", gate=True)
    assert (earlier.exists(), outside.exists()) == (False, True)
    reports.model(ModelResult(name, make_report(), None, 1.0))
    assert earlier.exists()
