"""What the commands `verify` and `gate` do: the work, guarded by the reports of its run, which the caller finishes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..converters.batch.finding import Found, find_either, read_checkpoint_list, unmatched
from ..converters.images.source import find_image_source
from ..errors import UnknownNameError
from ..mappings.registry import PRETRAINED, is_network_name, names_of_family
from ..workers.console import note
from .certificate import check_certificate
from .faults.networks import with_network_faults
from .faults.runs import with_faults
from .gate import run_gate
from .images.certificate import check_network_certificate
from .images.gate import gate_networks
from .images.job import NETWORK_CHECKS, NetworkAsked
from .job import ALL_CHECKS, CHECKS, verify_checkpoint
from .many import name_of_item, verify_many
from .reports.files import Reports, command_line
from .reports.gate_result import GateResult, ModelResult
from .reports.result import CheckResult, Report
from .runners.forward import Runners
from .sides.provenance import with_files


def verify_pair(
    source: str,
    converted: Path,
    *,
    obtain: Callable[[], tuple[str, Path]],
    checks: str | None,
    report_dir: Path | None,
    faults: bool,
    seed: int,
    recognition: Mapping[str, Any],
    pythons: Mapping[str, Any],
    quiet: bool,
    certificate: bool = True,
) -> tuple[Report, Reports]:
    """`obtain` both sides, which gives what is to be verified in place of what was typed, verify the pair, with a
    `certificate` or without, and, if it passed and `faults` says so, inject every fault into a
    copy. `recognition` and `pythons` are arguments of `verify_checkpoint`, `checks` is as typed.

    Raises what `obtain`, `verify_checkpoint`, `run_faults` and `Reports` raise.
    """
    chosen = {"check": checks, "seed": seed or None, "faults": faults, "no_certificate": not certificate}
    chosen |= {("dict" if name == "dictionary" else name): value for name, value in recognition.items()} | {**pythons}
    command = command_line(["verify", source, str(converted)], chosen)
    reports = Reports(report_dir, [str(converted)], command, quiet=quiet)
    with reports.guard():
        source, converted = obtain()
        report = verify_checkpoint(
            source,
            converted,
            checks=chosen_checks(checks),
            **recognition,
            **pythons,
            seed=seed,
            certificate=certificate,
            elsewhere=report_dir,
            progress=None if quiet else note,
        )
        network = find_image_source(source, *(recognition[name] for name in ("family", "config", "dictionary")))
        if network is not None:
            report = replace(report, command=command)
            if faults and report.passed:
                with Runners(**pythons) as runners:
                    asked = NetworkAsked(family=recognition["family"], library=recognition["paddleocr"], seed=seed)
                    tell = None if quiet else note
                    report = with_network_faults(report, network, converted, asked, runners.networks, tell)
            return report, reports
        report = with_files(report, source, converted, command, recognition["config"])
        if faults and report.passed:
            on_result = None if quiet else lambda result: note(result.line())
            with Runners(**pythons) as runners:
                of_paddlenlp = {name: recognition[name] for name in ("family", "architecture", "target", "config")}
                report = with_faults(
                    report, source, converted, **of_paddlenlp, seed=seed, runners=runners, on_result=on_result
                )
    return report, reports


def certify(source: str, converted: Path, recognition: Mapping[str, Any]) -> CheckResult:
    """Compare the certificate of a converted folder with the files of both sides, without a framework; raises as
    `check_certificate` does."""
    network = find_image_source(source, *(recognition[name] for name in ("family", "config", "dictionary")))
    if network is not None:
        return check_network_certificate(network, converted, recognition["paddleocr"])
    return check_certificate(source, converted, recognition["config"])


def gate_names(
    names: Sequence[str],
    *,
    families: tuple[str, ...],
    all_names: bool,
    seeded: bool,
    seed: int,
    jobs: int,
    checks: str | None,
    report_dir: Path | None,
    keep: Path | None,
    faults: bool,
    target: str | None,
    paddleocr: Path | None,
    obtain: Callable[[str], None] | None,
    pythons: Mapping[str, Any],
    quiet: bool,
) -> tuple[GateResult, Reports]:
    """The gate over pretrained names and those of families, or all of them; arguments and errors are those of
    `names_of_family`, `run_gate` and `Reports`, and `checks` is as typed."""
    of_families = [name for family in families for name in names_of_family(family)]
    chosen = list(PRETRAINED) if all_names else list(dict.fromkeys([*of_families, *names]))

    def repeat(some: Sequence[str]) -> str:
        every = len(some) == len(chosen)
        options = {
            "all": all_names and every,
            "family": families if every else None,
            "seeded": seeded,
            "seed": seed or None,
            "faults": faults,
            "target": target,
            "paddleocr": paddleocr,
            "check": checks,
            **pythons,
        }
        given = () if all_names else names
        return command_line(["gate", *(given if every else some)], options)

    _tell_replaced(keep, chosen)
    reports = Reports(report_dir, chosen, repeat(chosen), gate=True, quiet=quiet)
    networks = [name for name in chosen if is_network_name(name)]
    models = [name for name in chosen if name not in networks]
    with reports.guard():
        found: dict[str, ModelResult] = {}
        if models or not networks:
            found |= {
                model.name: model
                for model in run_gate(
                    models,
                    seeded=seeded,
                    seed=seed,
                    checks=chosen_checks(checks),
                    jobs=jobs,
                    keep=keep,
                    faults=faults,
                    target=target,
                    **pythons,
                    obtain=obtain,
                    repeat=repeat,
                    on_result=reports.model,
                    on_wait=note,
                ).models
            }
        asked = NetworkAsked(None if checks is None else chosen_checks(checks), library=paddleocr, seed=seed)
        of_networks = gate_networks(
            networks,
            asked,
            seeded=seeded,
            keep=keep,
            faults=faults and not models,
            **pythons,
            repeat=repeat,
            on_result=reports.model,
        )
        found |= {model.name: model for model in of_networks}
        result = GateResult(tuple(found[name] for name in chosen), repeat(chosen))
    return result, reports


def gate_found(
    found: Found,
    arguments: Sequence[str],
    *,
    target: str | None,
    paddleocr: Path | None,
    jobs: int,
    checks: str | None,
    report_dir: Path | None,
    keep: Path | None,
    pythons: Mapping[str, Any],
    quiet: bool,
) -> tuple[GateResult, Reports]:
    """The gate over what was found in a tree or a list, as the `arguments` of the command say; the others, and the
    errors, are those of `verify_many` and `Reports`, and `checks` is as typed."""
    for left_out, reason in found.left_out:
        note(f"left out: {left_out}: {reason}")
    command = command_line(arguments, {"target": target, "paddleocr": paddleocr, "check": checks, **pythons})
    names = [name_of_item(item) for item in found.items]
    _tell_replaced(keep, names)
    reports = Reports(report_dir, names, command, gate=True, quiet=quiet)
    with reports.guard():
        result = verify_many(
            found,
            jobs=jobs,
            keep=keep,
            checks=chosen_checks(checks),
            target=target,
            paddleocr=paddleocr,
            **pythons,
            command=command,
            on_result=reports.model,
        )
    return result, reports


def verify_found(
    source: str,
    converted: Path,
    *,
    listed: bool,
    obtain: Callable[[Found, str], Found],
    checks: str | None,
    report_dir: Path | None,
    seed: int,
    recognition: Mapping[str, Any],
    pythons: Mapping[str, Any],
    quiet: bool,
    certificate: bool = True,
) -> tuple[GateResult, Reports]:
    """Verify the conversions below `converted` of what is in the tree `source`, or in a list, each under its name
    there. `obtain` gives what stands for items of the Hub, and is told to which library they are converted; the others,
    and the errors, are those of `verify_many` and `Reports`, and `checks` is as typed."""
    found, to = (read_checkpoint_list(source), "torch") if listed else find_either(source, output=converted)
    for left_out, reason in found.left_out:
        note(f"left out: {left_out}: {reason}")
    names = [name_of_item(item) for item in found.items]
    for extra in () if listed else unmatched(found, converted, "torch" if to == "paddle" else "paddle"):
        note(f"left out: {extra}: no checkpoint in {source} has this name")
    options = {**recognition, "check": checks, "seed": seed or None, "no_certificate": not certificate, **pythons}
    arguments = ["verify", source, str(converted), "--list" if listed else "--tree"]
    reports = Reports(report_dir, names, command := command_line(arguments, options), gate=True, quiet=quiet)
    with reports.guard():
        result = verify_many(
            obtain(found, to),
            converted=converted,
            certificate=certificate,
            checks=chosen_checks(checks),
            seed=seed,
            **recognition,
            **pythons,
            command=command,
            on_result=reports.model,
        )
    return result, reports


def _tell_replaced(keep: Path | None, names: Sequence[str]) -> None:
    """Say which folders of an earlier run the next one may replace."""
    there = [name for name in names if keep is not None and os.path.lexists(keep / name)]
    if there:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        note(f"{keep}: {', '.join(there[:3])}{more} is there already, and is replaced where this run makes another")


def chosen_checks(typed: str | None) -> tuple[str, ...]:
    """The names of checks, separated by commas, that a user typed; the default ones without any. Raises
    UnknownNameError, before a gate spends minutes on weights."""
    if typed is None:
        return CHECKS
    names = tuple(name.strip() for name in typed.split(",") if name.strip())
    if not names:
        raise UnknownNameError("--check names no check")
    if unknown := [name for name in names if name not in (*ALL_CHECKS, *NETWORK_CHECKS)]:
        raise UnknownNameError(
            f"unknown check {unknown[0]!r}; known are {', '.join(ALL_CHECKS)}, and of networks that read pictures "
            f"{', '.join(NETWORK_CHECKS)}"
        )
    return names
