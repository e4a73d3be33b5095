"""The JSON routes below ``/optim/``, which the page (and any program) drives Optim with.

Those of this module; each of the others stands in its own module's docstring, a line each, from which
``python -m tools.api_page`` writes docs/api.md:

GET  /optim/api/setup?refresh=1            what the form offers, and a form with defaults
GET  /optim/api/methods?refresh=1          the merge methods
GET  /optim/api/snapshot?since=&trials=3,4      the run as it stands: trials since a revision, images of those named
GET  /optim/api/runs                       the earlier runs
GET  /optim/api/recipes                    the recipes at hand
POST /optim/api/recipe {path | text}       what a recipe says, and the models that it takes
POST /optim/api/choice {methods}           several merge methods as one that chooses between them
POST /optim/api/check {form | plan}        every problem of a plan, and what it comes to; problems are an answer here
POST /optim/api/start {form | plan}        start a run; the answer names its folder
POST /optim/api/command {command}          pause, go_on, skip_image, skip_trial, stop, finish, hand_over, take_back,
                                                ask_less, ask_all; resume {folder, verify}; change {form | plan};
                                                save_trial {trial, folder, name, save}; choose {trial, folder}
POST /optim/api/score {trial, image, value, request, name, folder}   a person's score 0 to 10 of an image, null takes it
                                                back; `name` of the rating, where there are several
POST /optim/api/mark {trial, image, mark, on, request, folder}   an image is `broken` or `left out`, or is no longer
POST /optim/api/selftest                   start the self-test
GET  /optim/api/selftest                   its state and report
GET  /optim/image/{folder}/{file}          an image of a run
    GET  /optim/api/setup?refresh=1      what the form offers        GET  /optim/api/methods   merge methods
    GET  /optim/api/snapshot?since=&trials=3,4   state of the run    GET  /optim/api/runs      earlier runs
    POST /optim/api/check | start        {"form": …} or {"plan": …}  POST /optim/api/command   {"command": …}
    GET  /optim/api/recipes              recipes at hand             POST /optim/api/recipe    {"path": …}: one of them
    POST /optim/api/score                {trial, image, value, request}; also name (of the rating), folder (its run)
    POST /optim/api/mark                 {trial, image, mark: broken | left out, on, request}; also folder
    POST /optim/api/compare              see `lib_optim.ui.compare`
    POST /optim/api/weights | block_weights   see `lib_optim.ui.weights`
    POST /optim/api/starts               see `lib_optim.ui.start_table`
    POST /optim/api/choice               {"methods": […]}: several merge methods as one
    POST /optim/api/guide                see `lib_optim.ui.guide_view`
    GET  /optim/api/importance | POST freeze | fork   see `lib_optim.ui.insight`
    GET  /optim/api/presets | POST preset… | plan | plan_read   see `lib_optim.ui.preset_api`
    GET  /optim/api/queue | POST queue_add | queue_command   see `lib_optim.ui.queue_api`
    POST /optim/api/picture              see `lib_optim.ui.picture_api`
    POST /optim/api/run_rename | run_trash | run_import | run_import_end   see `lib_optim.ui.runs_api`
    GET  /optim/api/run_export/{folder} | run_report/{folder} | run_log/{folder}
    POST /optim/api/payload | payload_delete | payload_picture | payload_read   see `lib_optim.ui.payload_api`
    POST /optim/api/calibrate_sample | calibrate | calibrate_stop, GET calibrate   see `lib_optim.ui.calibrate`
    GET  /optim/api/taste | POST taste | taste_save; GET ratings   see `lib_optim.ui.taste_api`
    GET  /optim/api/settings | status | POST settings   see `lib_optim.ui.settings_api`
    GET  /optim/api/words                see `lib_optim.ui.words_api`
    POST /optim/api/try_space | try | try_stop | try_save | try_weights | parent; GET try   see `lib_optim.ui.try_api`
    GET  /optim/api/report               see `lib_optim.ui.diagnostics`
    POST /optim/api/selftest, GET same   start it; its state and report
    GET  /optim/api/images, /optim/thumb/{run}/{file} | POST open_folder   see `lib_optim.ui.pictures_api`
    GET  /optim/image/{run}/{file}       an image of a run           GET  /optim/try_image/{file}

Errors are ``{"error": sentence}`` with status 4xx; a plan's also carry ``problems``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, Response

from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import RunPlan, SaveSpec
from lib_optim.run.marks import Mark
from lib_optim.ui.base_advice import base_advice
from lib_optim.ui.calibrate import MOST_BYTES, CalibrateApi
from lib_optim.ui.catalog import Catalog
from lib_optim.ui.compare import compared
from lib_optim.ui.diagnostics import DiagnosticsApi
from lib_optim.ui.form import judges_from_form, plan_from_form
from lib_optim.ui.form_shape import checked_form
from lib_optim.ui.guide_view import guide_shown
from lib_optim.ui.http import MAX_BODY, Call, Refused, endpoint
from lib_optim.ui.insight import InsightApi
from lib_optim.ui.payload_api import PayloadApi
from lib_optim.ui.picture_api import trial_of_picture
from lib_optim.ui.pictures_api import PicturesApi, asked_trials
from lib_optim.ui.plan_check import check_json, time_json
from lib_optim.ui.preset_api import PresetApi
from lib_optim.ui.queue_api import QueueApi
from lib_optim.ui.recipes import known_recipes, recipe_json
from lib_optim.ui.runs_api import PIECE, RunsApi
from lib_optim.ui.selftest_job import SelftestJob
from lib_optim.ui.settings_api import SettingsApi, call_of
from lib_optim.ui.start_table import starts_shown
from lib_optim.ui.taste_api import TasteApi
from lib_optim.ui.weights import understood
from lib_optim.ui.words_api import words_shown

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["mount"]

IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
ROOM = 60_000
"""Characters of trials in one snapshot; where there are more, it says so, and the page asks again at once."""
_SNAPSHOT = "/optim/api/snapshot"
_SAMPLE = "/optim/api/calibrate_sample"
_READ = "/optim/api/payload_read"
_PICTURE = "/optim/api/payload_picture"
_IMPORT = "/optim/api/run_import"
_FIND = "/optim/api/picture"
_SIZES = {_SAMPLE: MOST_BYTES, _READ: MOST_BYTES, _PICTURE: MOST_BYTES, _FIND: MOST_BYTES, _IMPORT: PIECE}
_LARGE = {path: size * 4 // 3 + MAX_BODY for path, size in _SIZES.items()}
"""Routes that take more than the usual request: bytes. A file grows by a third in base64."""
_MOST = 2**53  # what JavaScript and SQLite count exactly
_MARKS: dict[str, Mark] = {"broken": "mark: broken", "left out": "mark: left out"}


def mount(
    app: Any,
    manager: RunManager,
    hosts: Collection[str] | None = None,
    credentials: Mapping[str, str] | None = None,
) -> None:
    """Add the routes to `app` (FastAPI or Starlette), once; a second call changes nothing.

    Args:
        app: The program's own app; a WebUI hands over a new one after "Reload UI".
        manager: The one run manager of this process.
        hosts: See `lib_optim.ui.http.endpoint`.
        credentials: Likewise.
    """
    if any(getattr(route, "path", None) == _SNAPSHOT for route in app.routes):
        return
    for method, path, handler in _Api(manager).table():
        guarded = endpoint(handler, hosts, _LARGE.get(path, MAX_BODY), credentials)
        app.router.add_route(path, guarded, methods=[method])


class _Api:
    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._catalog = Catalog(manager)
        self._selftest = SelftestJob(manager)
        self._diagnostics = DiagnosticsApi(manager, self._selftest.state)
        self._insight = InsightApi(manager, self._plan)
        self._runs = RunsApi(manager)
        self._queue = QueueApi(manager, self._plan)
        self._presets = PresetApi(manager, self._catalog, self._plan)
        self._payload = PayloadApi(manager.host, lambda: self._catalog.payloads_folder)
        self._calibrate = CalibrateApi(
            lambda: manager.scorers_dir,
            lambda form, problems: judges_from_form(form, self._catalog.choices(), problems),
            lambda: manager.active,
        )
        self._taste = TasteApi(manager)
        self._pictures = PicturesApi(manager)
        self._settings = SettingsApi(manager)

    def _tried(self, name: str) -> Callable[[Call], Any]:
        """Return a route of `TryApi`, which is imported when it is asked for: a host's start need not wait for it."""

        def serve(call: Call) -> Any:
            from lib_optim.ui.try_api import TryApi

            return getattr(TryApi(self._manager, self._catalog.choices), name)(call)

        return serve

    def table(self) -> tuple[tuple[str, str, Callable[[Call], Any]], ...]:
        return (
            ("GET", "/optim/api/setup", lambda call: self._catalog.setup(call.query.get("refresh") == "1")),
            ("GET", "/optim/api/methods", lambda call: self._catalog.all_methods(call.query.get("refresh") == "1")),
            ("GET", _SNAPSHOT, self._snapshot),
            ("GET", "/optim/api/runs", lambda _: {"runs": self._manager.runs()}),
            ("GET", "/optim/api/recipes", lambda _: {"recipes": known_recipes(self._manager)}),
            ("POST", "/optim/api/recipe", self._recipe),
            ("POST", "/optim/api/choice", self._choice),
            ("POST", "/optim/api/check", self._check),
            ("POST", "/optim/api/start", self._start),
            ("POST", "/optim/api/command", self._command),
            ("POST", "/optim/api/score", self._score),
            ("POST", "/optim/api/mark", self._mark),
            ("POST", "/optim/api/compare", lambda call: compared(call, self._manager)),
            ("POST", "/optim/api/guide", lambda call: guide_shown(call, self._catalog)),
            ("POST", "/optim/api/weights", lambda call: understood(call, self._catalog)),
            ("POST", "/optim/api/starts", lambda call: starts_shown(call, self._catalog, self._outputs)),
            ("POST", "/optim/api/block_weights", self._block_weights),
            ("GET", "/optim/api/importance", self._insight.importance),
            ("POST", "/optim/api/freeze", self._insight.freeze),
            ("POST", "/optim/api/fork", self._insight.fork),
            ("GET", "/optim/api/presets", self._presets.names),
            ("POST", "/optim/api/preset", self._presets.load),
            ("POST", "/optim/api/preset_save", self._presets.save),
            ("POST", "/optim/api/preset_rename", self._presets.rename),
            ("POST", "/optim/api/preset_delete", self._presets.delete),
            ("POST", "/optim/api/plan", self._presets.plan),
            ("POST", "/optim/api/plan_read", self._presets.read),
            ("GET", "/optim/api/queue", self._queue.state),
            ("POST", "/optim/api/queue_add", self._queue.add),
            ("POST", "/optim/api/queue_command", self._queue.command),
            ("POST", "/optim/api/run_rename", self._runs.rename),
            ("POST", "/optim/api/run_trash", self._runs.trash),
            ("GET", "/optim/api/run_export/{folder}", self._runs.export),
            ("GET", "/optim/api/run_report/{folder}", self._runs.report),
            ("GET", "/optim/api/run_log/{folder}", self._runs.log),
            ("POST", _IMPORT, self._runs.piece),
            ("POST", "/optim/api/run_import_end", self._runs.end),
            ("POST", "/optim/api/payload", self._payload.save),
            ("POST", "/optim/api/payload_delete", self._payload.delete),
            ("POST", _PICTURE, self._payload.picture),
            ("POST", _FIND, lambda call: trial_of_picture(call, self._outputs)),
            ("POST", _READ, self._payload.read),
            ("POST", _SAMPLE, self._calibrate.sample),
            ("POST", "/optim/api/calibrate", self._calibrate.start),
            ("POST", "/optim/api/calibrate_stop", lambda _: self._calibrate.stop()),
            ("GET", "/optim/api/calibrate", lambda _: self._calibrate.state()),
            ("GET", "/optim/api/taste", self._taste.state),
            ("POST", "/optim/api/taste", self._taste.train),
            ("POST", "/optim/api/taste_save", self._taste.save),
            ("GET", "/optim/api/ratings", self._taste.ratings),
            ("GET", "/optim/api/settings", lambda _: self._settings.shown()),
            ("POST", "/optim/api/settings", self._settings.change),
            ("GET", "/optim/api/words", lambda _: words_shown(self._manager.host.settings()["language"])),
            ("GET", "/optim/api/status", lambda _: self._settings.status()),
            ("POST", "/optim/api/selftest", lambda _: self._selftest.start()),
            ("GET", "/optim/api/selftest", lambda _: self._selftest.state()),
            ("GET", "/optim/api/report", self._diagnostics.report),
            ("GET", "/optim/api/images", self._pictures.images),
            ("POST", "/optim/api/open_folder", self._pictures.open_folder),
            ("GET", "/optim/thumb/{folder}/{file}", self._pictures.thumb),
            ("POST", "/optim/api/try_space", self._tried("space")),
            ("POST", "/optim/api/try", self._tried("make")),
            ("POST", "/optim/api/try_stop", self._tried("stop")),
            ("GET", "/optim/api/try", self._tried("state")),
            ("POST", "/optim/api/try_save", self._tried("save")),
            ("POST", "/optim/api/try_weights", self._tried("weights")),
            ("POST", "/optim/api/parent", self._tried("parent")),
            ("GET", "/optim/try_image/{file}", self._tried("image")),
            ("GET", "/optim/image/{folder}/{file}", self._image),
        )

    @property
    def _outputs(self) -> Path:
        return self._manager.host.paths().outputs

    def _snapshot(self, call: Call) -> dict[str, Any]:
        also = asked_trials(call, 20)
        since = call.query.get("since", "0")
        shown = self._manager.snapshot(int(since) if since.isdigit() else 0, also, ROOM)
        return {**shown, "call": call_of(shown)}

    def _plan(self, call: Call) -> RunPlan:
        if "plan" in call.body:
            return RunPlan.from_json(call.body["plan"], "plan")
        if "form" not in call.body:
            raise PlanError("The request holds neither a plan nor a form.")
        return plan_from_form(checked_form(call.body["form"]), self._catalog.choices())

    def _recipe(self, call: Call) -> dict[str, Any]:
        path, text = (str(call.body.get(name) or "") for name in ("path", "text"))
        return recipe_json(self._manager, path, text)

    def _choice(self, call: Call) -> dict[str, Any]:
        names = call.body.get("methods")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refused(400, "'methods' must be a list of the ids of merge methods.")
        return {"method": self._catalog.choice(names)}

    def _check(self, call: Call) -> dict[str, Any]:
        """A plan with problems is an answer here, not an error."""
        try:
            plan = self._plan(call)
            found = self._manager.check(plan)
            return {**check_json(found), "base": base_advice(plan), "time": time_json(found, self._manager.host)}
        except PlanError as error:
            from lib_optim.run.check import PlanCheck

            return {**check_json(PlanCheck(error.problems)), "base": None, "time": None}

    def _start(self, call: Call) -> dict[str, Any]:
        return {"folder": self._manager.start(self._plan(call))}

    def _command(self, call: Call) -> dict[str, Any]:
        name = _text(call, "command")
        manager = self._manager
        plain: dict[str, Callable[[], Any]] = {
            "pause": manager.pause,
            "go_on": manager.go_on,
            "skip_image": manager.skip_image,
            "skip_trial": manager.skip_trial,
            "stop": manager.stop,
            "finish": manager.finish,
            "hand_over": manager.hand_over,
            "take_back": lambda: manager.hand_over(False),
            "ask_less": manager.ask_less,
            "ask_all": lambda: manager.ask_less(False),
        }
        if name in plain:
            plain[name]()
            return {"done": name}
        if name == "resume":
            folder = _text(call, "folder")
            manager.resume(folder, verify=call.body.get("verify") is True)
            return {"done": name, "folder": folder}
        if name == "change":
            return {"done": name, "pass": manager.change(self._plan(call))}
        if name == "save_trial":
            return self._save(call)
        if name == "choose":
            trial = None if call.body.get("trial") is None else _whole(call, "trial")
            manager.choose(trial, str(call.body.get("folder") or "")[:200])
            return {"done": name, "trial": trial}
        known = ", ".join([*plain, "resume", "change", "save_trial", "choose"])
        raise Refused(400, f"There is no command '{name}'; there are {known}.")

    def _save(self, call: Call) -> dict[str, Any]:
        how = call.body.get("save")
        save = None if how is None else SaveSpec.from_json(how, "save")
        name, folder = (str(call.body.get(field) or "")[:200] for field in ("name", "folder"))
        saved = self._manager.save_trial(_whole(call, "trial"), save, name, folder)
        return {"done": "save_trial", "path": str(saved.path), "notes": list(saved.notes)}

    def _block_weights(self, call: Call) -> dict[str, Any]:
        return {"weights": self._manager.block_weights(_whole(call, "trial"), str(call.body.get("folder") or ""))}

    def _mark(self, call: Call) -> dict[str, Any]:
        kind, on = _text(call, "mark"), call.body.get("on")
        if kind not in _MARKS or not isinstance(on, bool):
            raise Refused(400, f"'mark' must be one of {', '.join(_MARKS)}, and 'on' true or false.")
        trial, image = _whole(call, "trial"), _whole(call, "image")
        self._manager.mark(trial, image, _MARKS[kind], on, _text(call, "request"), _short(call, "folder"))
        return {"trial": trial, "image": image, "mark": kind, "on": on}

    def _score(self, call: Call) -> dict[str, Any]:
        value = call.body.get("value")
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10 or math.isnan(value)
        ):
            raise Refused(400, "A score must be a number from 0 to 10, or null to take it back.")
        trial, image = _whole(call, "trial"), _whole(call, "image")
        request, name, folder = _text(call, "request"), _short(call, "name"), _short(call, "folder")
        self._manager.score(trial, image, value, request, name, folder)
        return {"trial": trial, "image": image, "value": value}

    def _image(self, call: Call) -> Response:
        path = self._manager.image_path(call.path["folder"], call.path["file"])
        if path is None or path.suffix.lower() not in IMAGE_TYPES:
            raise Refused(404, "There is no such image.")
        # An image never changes once written; nosniff, because a run may have been imported.
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=IMAGE_TYPES[path.suffix.lower()], headers=headers)


def _whole(call: Call, name: str) -> int:
    value = call.body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise Refused(400, f"'{name}' must be a whole number from 0 to {_MOST}.")
    return value


def _short(call: Call, name: str) -> str:
    value = call.body.get(name, "")
    if not isinstance(value, str) or len(value) > 200:
        raise Refused(400, f"'{name}' must be a text of at most 200 characters.")
    return value


def _text(call: Call, name: str) -> str:
    value = call.body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise Refused(400, f"'{name}' must be a text of 1 to 200 characters.")
    return value
