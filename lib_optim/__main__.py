"""The command line: the standalone tab, a run without a browser, the self-test.

python -m lib_optim                      open the tab on 127.0.0.1
python -m lib_optim run plan.json        run a plan, with a progress bar; --recipe FILE, --adjust, --guide FILE
python -m lib_optim queue FILE …         run lines 'A + B = name', or several plans, one after another
python -m lib_optim resume FOLDER        go on with a run
python -m lib_optim fork RUN …          a new run from an earlier one, with other judges, bounds, sampler, …
python -m lib_optim choose RUN [TRIAL]   which trial wins a run with several goals
python -m lib_optim ratings RUN          what you said of its images, as CSV or JSON
python -m lib_optim taste RUN …          learn your taste from ratings, for the judge My taste
python -m lib_optim save RUN [TRIAL]     save the merge of a trial of any run, or its winner, as a checkpoint
python -m lib_optim export RUN [FILE]    write a run into a zip file; import FILE takes it in again
python -m lib_optim report RUN           write a run as a web page that needs nothing else
python -m lib_optim merge RECIPE …       merge as a recipe says, without a run
python -m lib_optim selftest             check this installation
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim import __version__
from lib_optim.plan.errors import OptimError, PlanError
from lib_optim.plan.guide import Guide
from lib_optim.plan.guide_file import read_guide
from lib_optim.plan.run_plan import RunPlan, SaveSpec, SharedSpec
from lib_optim.plan.scorers import MANUAL
from lib_optim.run.archive_command import add_archive_parsers, export_to, import_from
from lib_optim.run.choose_command import add_choose_parser, choose_from
from lib_optim.run.folder import RunFolder
from lib_optim.run.follow import watch, watch_queue
from lib_optim.run.fork_command import add_fork_parser, fork_from
from lib_optim.run.queue_command import add_queue_parser, queue_from, read_plan
from lib_optim.run.ratings_command import add_ratings_parsers, ratings_from, taste_from
from lib_optim.run.report import write_report

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["main"]

DEFAULT_PORT = 7861
_ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (0 fine, 1 failed, 2 wrong usage)."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except PlanError as error:
        for problem in error.problems:
            print(f"optim: {problem}", file=sys.stderr)
    except OptimError as error:
        print(f"optim: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("optim: interrupted", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="optim", description="Find the best merge of Stable Diffusion checkpoints.")
    parser.add_argument("--version", action="version", version=f"optim {__version__}")
    parser.add_argument("--data", type=Path, default=_ROOT, help="folder for models, outputs and caches")
    parser.add_argument("--models", type=Path, default=None, help="folder with checkpoints (default: DATA/models)")
    parser.add_argument("--device", default="", help="cpu, cuda or cuda:N (default: CUDA if there is one)")
    parser.set_defaults(command="tab", port=DEFAULT_PORT, no_browser=False)
    commands = parser.add_subparsers(metavar="command")
    tab = commands.add_parser("tab", help="open the tab (the default)")
    for target in (
        parser,
        tab,
    ):  # defaults of a command would undo what stands before its name
        target.add_argument("--port", type=int, default=argparse.SUPPRESS, help="on 127.0.0.1")
        target.add_argument(
            "--no-browser", action="store_true", default=argparse.SUPPRESS, help="do not open a browser"
        )
    tab.set_defaults(command="tab")
    run = commands.add_parser("run", help="run a plan without a browser")
    run.add_argument("plan", type=Path, help="plan.json")
    run.add_argument("--recipe", type=Path, default=None, help="optimise this recipe: .mecha, or a merged checkpoint")
    run.add_argument("--adjust", action="store_true", help="search the layer adjustment on top")
    run.add_argument("--guide", type=Path, default=None, help="what to vary, from this guide file (YAML or JSON)")
    run.add_argument("--shared", default=None, metavar="URL", help="take part in a study in this storage")
    run.add_argument("--study", default="", metavar="NAME", help="name of that study, the same for all its workers")
    run.set_defaults(command="run")
    resume = commands.add_parser("resume", help="go on with a run")
    resume.add_argument("folder", help="name of the run folder")
    resume.add_argument("--trials", type=int, default=None, help="a new number of trials")
    resume.add_argument("--verify", action="store_true", help="verify the best, without searching on")
    resume.set_defaults(command="resume")
    add_queue_parser(commands)
    add_fork_parser(commands)
    add_choose_parser(commands)
    add_archive_parsers(commands)
    add_ratings_parsers(commands)
    save = commands.add_parser("save", help="save the merge of a trial as a checkpoint")
    save.add_argument("folder", help="name of the run folder")
    save.add_argument("trial", type=int, nargs="?", default=None, help="number of the trial (default: the winner)")
    save.add_argument("--name", default="", help="name of the file (default: run and trial)")
    save.set_defaults(command="save")
    merge = commands.add_parser("merge", help="merge as a recipe says, through sd-mecha alone")
    merge.add_argument("recipe", type=Path, help="a .mecha file, or a checkpoint that holds its recipe")
    merge.add_argument("--models", dest="folders", type=Path, nargs="+", required=True, help="folders with the models")
    merge.add_argument("--out", type=Path, required=True, help="the checkpoint to write, .safetensors")
    merge.add_argument(
        "--methods", type=Path, default=None, help="folder with merge methods of your own (they are run)"
    )
    merge.set_defaults(command="merge")
    for target in (save, merge):
        _add_save_options(target)
    selftest = commands.add_parser("selftest", help="check this installation")
    selftest.set_defaults(command="selftest")
    return parser


def _add_save_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dtype", choices=("fp16", "bf16", "fp32"), default=None, help="of the weights")
    parser.add_argument("--pruned", action="store_true", default=None, help="leave out EMA copies and training state")
    parser.add_argument("--vae", type=Path, default=None, help="a VAE file to store instead of model A's VAE")
    parser.add_argument("--fix-clip", action="store_true", default=None, help="repair CLIP's position ids")


def _save_spec(options: argparse.Namespace, default: SaveSpec) -> SaveSpec:
    given = {"dtype": options.dtype, "pruned": options.pruned, "fix_clip": options.fix_clip}
    given["vae"] = str(options.vae.absolute()) if options.vae is not None else None
    return dataclasses.replace(default, **{name: value for name, value in given.items() if value is not None})


def _manager(options: argparse.Namespace) -> RunManager:
    from lib_optim.hosts.standalone import StandaloneHost
    from lib_optim.run.manager import RunManager
    from lib_optim.run.singleton import get_manager

    def make() -> RunManager:
        host = StandaloneHost(options.data, options.models, options.device)
        return RunManager(host, host.paths().models / "scorers")

    return get_manager(make)


def _tab(options: argparse.Namespace) -> int:
    from lib_optim.ui.standalone import launch

    manager = _manager(options)
    try:
        launch(manager, options.port, open_browser=not options.no_browser)
    finally:
        manager.close()
    return 0


def _run(options: argparse.Namespace) -> int:
    plan = read_plan(options.plan)
    _refuse_manual(plan)
    if options.guide is not None:
        plan = dataclasses.replace(plan, guide=_guide(options.guide))
    manager = _manager(options)
    if options.recipe is not None:
        from lib_optim.run.recipe_plan import with_recipe

        plan = with_recipe(plan, options.recipe, manager.host)
    if options.adjust:
        plan = dataclasses.replace(plan, adjust=True)
    if options.shared is not None:
        plan = dataclasses.replace(plan, shared=SharedSpec(options.shared, options.study or plan.name))
    manager.start(plan)
    return watch(manager)


def _guide(path: Path) -> Guide:
    try:
        return read_guide(path.read_text(encoding="utf-8-sig"), path.name)
    except (OSError, ValueError) as error:
        raise OptimError(f"{path} cannot be read as a guide: {error}.") from error


def _queue(options: argparse.Namespace) -> int:
    manager = _manager(options)
    for line in queue_from(manager, options, _refuse_manual):
        print(line)
    if options.check:
        return 0
    manager.queue.go_on()
    return watch_queue(manager)


def _resume(options: argparse.Namespace) -> int:
    manager = _manager(options)
    _refuse_manual(RunFolder.open(manager.outputs, options.folder).read_plan())
    manager.resume(options.folder, options.trials, options.verify)
    return watch(manager)


def _fork(options: argparse.Namespace) -> int:
    manager = _manager(options)
    print(fork_from(manager, options, _refuse_manual))
    return watch(manager)


def _choose(options: argparse.Namespace) -> int:
    print(choose_from(_manager(options), options))
    return 0


def _export(options: argparse.Namespace) -> int:
    print(f"Written: {export_to(options, _manager(options).outputs)}")
    return 0


def _report(options: argparse.Namespace) -> int:
    print(f"Written: {write_report(RunFolder.open(_manager(options).outputs, options.folder))}")
    return 0


def _import(options: argparse.Namespace) -> int:
    print(f"Imported as {import_from(options, _manager(options).outputs)}")
    return 0


def _ratings(options: argparse.Namespace) -> int:
    print(ratings_from(_manager(options), options))
    return 0


def _taste(options: argparse.Namespace) -> int:
    print(taste_from(_manager(options), options))
    return 0


def _save(options: argparse.Namespace) -> int:
    manager = _manager(options)
    plan = RunFolder.open(manager.outputs, options.folder).read_plan()
    trial = options.trial if options.trial is not None else manager.recorded(options.folder).winner
    if trial is None:
        raise OptimError(f"No trial of {options.folder} is scored, so it has no winner; name a trial.")
    saved = manager.save_trial(trial, _save_spec(options, plan.save), options.name, options.folder)
    for sentence in saved.notes:
        print(f"optim: {sentence}", file=sys.stderr)
    print(saved.path)
    return 0


def _merge(options: argparse.Namespace) -> int:
    from lib_optim.merging.run_recipe import recipe_text, run_recipe
    from lib_optim.merging.user_methods import load_user_methods

    def progress(done: int, total: int) -> None:
        if sys.stdout.isatty() and (done % 50 == 0 or done == total):
            print(f"\r{done} of {total} tensors\x1b[K", end="\n" if done == total else "", flush=True)

    if options.methods is not None:
        for file in load_user_methods(options.methods):
            if file.problem:
                print(f"optim: {file.problem}", file=sys.stderr)
    text = recipe_text(options.recipe)
    print(run_recipe(text, options.folders, options.out, _save_spec(options, SaveSpec()), progress))
    return 0


def _refuse_manual(plan: RunPlan) -> None:
    later = [spec for later in plan.passes for spec in later.scorers or ()]
    if any(scorer.id == MANUAL for scorer in (*plan.scorers, *plan.verify.scorers, *later)):
        raise OptimError(
            f"The run {plan.name} is scored by hand, which takes the tab; open it with 'python -m lib_optim'."
        )


def _selftest(options: argparse.Namespace) -> int:
    from lib_optim.selftest import report_text, run_selftest

    report = run_selftest(_manager(options).host)
    print(report_text(report))
    return 1 if any(outcome.status == "failed" for outcome in report.outcomes) else 0


_COMMANDS = {
    "tab": _tab, "run": _run, "queue": _queue, "resume": _resume, "fork": _fork, "choose": _choose,
    "ratings": _ratings, "taste": _taste,
    "save": _save, "merge": _merge, "export": _export, "import": _import, "report": _report, "selftest": _selftest,
}  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(main())
