"""Lets one Python scorer file judge for Optim from an environment of its own, on this or another machine.

    python scorer_server.py my_scorer.py --port 7870 --device cuda

Copy this file into that environment: it needs Python 3.8 and Pillow, and nothing of Optim. The scorer file is the one
that docs/own-scorers.md describes; here its `score` may also return ``{"scores": [...], "sigmas": [...]}``. The
contract is in docs/remote-scorer.md. Anyone who reaches the port can have images judged: keep it on 127.0.0.1, or in
a network that you trust.
"""

from __future__ import annotations

import argparse
import base64
import collections
import inspect
import io
import json
import math
import sys
import threading
import traceback
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

VERSION = 1
MOST_PIXELS = 64_000_000
REMEMBERED = 64
IMAGE_FORMATS = ("PNG",)


class Refused(Exception):
    """One sentence for the other side, with an HTTP status."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


class Judge:
    """The user's scorer: loaded when first asked, again for other options, one question at a time."""

    def __init__(self, path, device):
        self.path, self.device = Path(path), device
        module = types.ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        sys.modules[self.path.stem + "_scorer"] = module
        module.__name__ = self.path.stem + "_scorer"
        exec(compile(self.path.read_bytes(), str(self.path), "exec"), module.__dict__)
        own = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
        classes = [thing for thing in own if inspect.isclass(thing) and callable(getattr(thing, "score", None))]
        function = getattr(module, "score", None)
        self.is_class = not (callable(function) and not inspect.isclass(function))
        if self.is_class and len(classes) != 1:
            raise SystemExit(
                f"{self.path.name} needs a function score(images, prompts), or one class with that method."
            )
        self.made = classes[0] if self.is_class else function
        lines = [line.strip() for line in inspect.cleandoc(module.__doc__ or "").splitlines()]
        self.title = str(getattr(module, "TITLE", "") or (lines[0].rstrip(".") if lines else "") or self.path.stem)
        self.typical = [float(value) for value in getattr(module, "TYPICAL", (0.0, 1.0))]
        self.reads_prompt = bool(getattr(module, "READS_PROMPT", True))
        self.lock = threading.Lock()
        self.thing = self.options = None

    def load(self, options):
        """Have an object of the class with `options`; the one there is if they are the same."""
        if not self.is_class or (self.thing is not None and self.options == options):
            return
        self.unload()
        thing = self.made(**options)
        if callable(getattr(thing, "load", None)):
            thing.load(self.device)
        self.thing, self.options = thing, options

    def unload(self):
        """Let go of the memory."""
        thing, self.thing = self.thing, None
        if callable(getattr(thing, "unload", None)):
            thing.unload()

    def score(self, images, prompts, contexts, options):
        """Return scores and sigmas (or None), as lists of finite numbers."""
        try:
            self.load(options)
            function = self.thing.score if self.is_class else self.made
            more = {} if self.is_class else dict(options)
            if "contexts" in inspect.signature(function).parameters:
                more["contexts"] = contexts
            answer = function(images, prompts, **more)
        except Exception as error:
            traceback.print_exc()
            words = " ".join(str(error).split())
            raise Refused(422, f"{self.title} failed: {type(error).__name__}: {words}"[:500]) from error
        sigmas = None
        if isinstance(answer, dict):
            answer, sigmas = answer.get("scores"), answer.get("sigmas")
        scores = self.numbers(answer, len(images), "score")
        return scores, None if sigmas is None else self.numbers(sigmas, len(images), "sigma")

    def numbers(self, values, count, what):
        """Return a list, tuple, array or tensor as `count` plain finite numbers."""
        if callable(getattr(values, "tolist", None)):
            values = values.tolist()
        if not isinstance(values, (list, tuple)):
            raise Refused(422, f"{self.title} gave {str(values)[:60]!r}, which is no list of {what}s")
        values = [value.item() if callable(getattr(value, "item", None)) else value for value in values]
        if len(values) != count:
            raise Refused(422, f"{self.title} gave {len(values)} {what}s for {count} images")
        for i, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise Refused(422, f"{self.title} gave {str(value)[:60]} for image {i + 1}, which is no {what}")
        return [float(value) for value in values]


class Answers:
    """What was answered to the last questions, by id: one that is asked again is not judged again."""

    def __init__(self):
        self.lock = threading.Lock()
        self.known = collections.OrderedDict()

    def get(self, name, make):
        """Return what `make` returns, or raise what it raises; made once per `name`, however many ask at once."""
        with self.lock:
            mine = name not in self.known
            if mine:
                self.known[name] = {"done": threading.Event()}
                while len(self.known) > REMEMBERED:
                    self.known.popitem(last=False)
            entry = self.known[name]
        if mine:
            try:
                entry["answer"] = make()
            except BaseException as error:  # noqa: BLE001 - raised again below, for all who wait
                entry["error"] = error
                with self.lock:
                    self.known.pop(name, None)  # what failed may be tried again
            finally:
                entry["done"].set()
        entry["done"].wait()
        if "error" in entry:
            raise entry["error"]
        return entry["answer"]


class Context:
    """Where an image comes from: `payload`, `seed` and `index`."""

    def __init__(self, item):
        self.payload, self.seed, self.index = item.get("payload") or "", item.get("seed"), item.get("index")


class Handler(BaseHTTPRequestHandler):
    """GET / tells who this is, POST /score judges, POST /unload frees the memory."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without a byte
    judge = answers = None
    max_images, max_bytes = 8, 64_000_000

    def do_GET(self):
        self.reply(self.about if self.path in ("/", "") else self.nowhere)

    def do_POST(self):
        self.reply({"/score": self.scored, "/unload": self.unloaded}.get(self.path, self.nowhere))

    def about(self):
        judge = self.judge
        return {
            "name": judge.title, "typical": judge.typical, "reads_prompt": judge.reads_prompt,
            "max_images": self.max_images, "max_bytes": self.max_bytes,
        }  # fmt: skip

    def nowhere(self):
        self.close_connection = True
        raise Refused(404, f"there is nothing at {self.path[:100]}")

    def unloaded(self):
        self.body()
        with self.judge.lock:
            self.judge.unload()
        return {}

    def scored(self):
        question = self.body()
        if question.get("version") != VERSION:
            raise Refused(400, f"this server speaks version {VERSION}, and was asked in {question.get('version')}")
        name, options, items = question.get("id"), question.get("options") or {}, question.get("images")
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            raise Refused(400, "the id must be a text of 1 to 100 characters")
        if not isinstance(options, dict) or not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
            raise Refused(400, "options must be an object, and images a list of objects")
        if len(items) > self.max_images:
            raise Refused(413, f"{len(items)} images are more than the {self.max_images} that are taken at once")
        return self.answers.get(name, lambda: self.judged(name, options, items))

    def judged(self, name, options, items):
        images = [opened(item.get("png"), i) for i, item in enumerate(items)]
        prompts = [str(item.get("prompt") or "") for item in items]
        contexts = [Context(item) for item in items]
        with self.judge.lock:
            scores, sigmas = self.judge.score(images, prompts, contexts, options) if images else ([], None)
        return {"id": name, "scores": scores, **({} if sigmas is None else {"sigmas": sigmas})}

    def body(self):
        length = self.headers.get("Content-Length") or ""
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        problem = None
        if not length.isdigit():
            problem = Refused(411, "the request does not say its length")
        elif int(length) > self.max_bytes:
            problem = Refused(413, f"a request may have {self.max_bytes} bytes, and this one has {length[:20]}")
        elif kind != "application/json":  # which no page of another origin may send without being asked first
            problem = Refused(415, "the request must be application/json")
        if problem is not None:
            self.close_connection = True  # its body is not read
            raise problem
        try:
            found = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(400, "the request is no JSON") from error
        if not isinstance(found, dict):
            raise Refused(400, "the request is no JSON object")
        return found

    def reply(self, make):
        status, answer = 200, {}
        try:
            answer = make()
        except Refused as error:
            status, answer = error.status, {"error": str(error)}
        except (TimeoutError, ConnectionError):
            self.close_connection = True
            return
        except Exception as error:  # noqa: BLE001 - one bad request must not end the server
            traceback.print_exc()
            status, answer = 500, {"error": f"the server failed: {type(error).__name__}"}
        text = json.dumps({"version": VERSION, **answer}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format, *args):  # noqa: A002 - as the library has it
        sys.stderr.write(f"{self.address_string()} {format % args}\n")


def opened(text, place):
    """Return the image that a PNG in base64 holds."""
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            small = image.width * image.height <= MOST_PIXELS
            found = image.convert("RGB") if small else None
    except Exception as error:
        raise Refused(400, f"image {place + 1} is no PNG in base64") from error
    if found is None:
        raise Refused(413, f"image {place + 1} has more than {MOST_PIXELS} pixels")
    return found


def main():
    parser = argparse.ArgumentParser(description="Serve a scorer file to Optim.")
    parser.add_argument("scorer", type=Path, help="Python file with score(images, prompts)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=7870, help="0 takes a free one")
    parser.add_argument("--device", default="cpu", help="given to the scorer's load: cpu, cuda, cuda:1")
    parser.add_argument("--max-images", type=int, default=8, help="judged at once")
    parser.add_argument("--max-bytes", type=int, default=64_000_000, help="of a request")
    given = parser.parse_args()
    Handler.judge, Handler.answers = Judge(given.scorer, given.device), Answers()
    Handler.max_images, Handler.max_bytes = given.max_images, given.max_bytes
    server = ThreadingHTTPServer((given.host, given.port), Handler)
    print(f"{Handler.judge.title} listens on http://{server.server_address[0]}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
