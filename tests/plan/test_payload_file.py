"""Payload files in JSON, YAML and TOML, of our own shape and of other programs: what they become, and on which line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.file_lines import read_file
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_file import load_payload, payload_files

CASTLE = Payload("castle", 'a "castle" 😀', steps=12, override_settings={"eta_noise_seed_delta": 5})
LAKE = Payload("lake", "a lake", steps=12)
TOML = pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML needs Python 3.11, or tomli")

SAME = {
    "list.json": json.dumps([
        {"name": "castle", "prompt": 'a "castle" 😀', "steps": 12, "override_settings": {"eta_noise_seed_delta": 5}},
        {"name": "lake", "prompt": "a lake", "steps": 12},
    ]),
    "named.yaml": """
# fields beside the names hold for all
steps: 12
castle:
  prompt: a "castle" 😀
  override_settings: {eta_noise_seed_delta: 5}
lake:
  prompt: a lake
""",
    "listed.yml": """
steps: 9
payloads:
- name: castle
  prompt: a "castle" 😀
  steps: 12
  override_settings:
    eta_noise_seed_delta: 5
- {name: lake, prompt: a lake, steps: 12}
""",
    "tables.toml": """
steps = 12
[castle]
prompt = 'a "castle" 😀'
override_settings = { eta_noise_seed_delta = 5 }
[lake]
prompt = "a lake"
""",
    "listed.toml": """
steps = 12
[[payloads]]
name = "castle"
prompt = 'a "castle" 😀'
[payloads.override_settings]
eta_noise_seed_delta = 5
[[payloads]]
name = "lake"
prompt = "a lake"
""",
}  # fmt: skip


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load_payload(path)
    return [problem.sentence for problem in caught.value.problems]


@pytest.mark.parametrize("name", [pytest.param(n, marks=TOML) if n.endswith("toml") else n for n in SAME])
def test_all_formats_and_shapes_say_the_same(tmp_path: Path, name: str) -> None:
    assert load_payload(write(tmp_path, name, SAME[name])) == (CASTLE, LAKE)


WRONG = {
    "a.json": (
        '{"prompt": "a",\n\n "stpes": 5}',
        "a.json, line 3: 'stpes' is not a field of a.json. Did you mean 'steps'?",
    ),
    "b.json": (
        '[{"prompt": "a\\n{[b"},\n {"steps": 0,\n "width": 65}]',
        "b.json, line 2: Payload 'b 2': steps must lie",
    ),
    "c.json": ('{"steps": 5,\n}', "c.json, line "),
    "d.yaml": ("prompt: a\nsteps: many\n", "d.yaml, line 2: 'd.yaml.steps' must be a whole number, not 'many'."),
    "e.yaml": ("castle:\n  steps: 5\n  sampler_nam: x\n", "e.yaml, line 3: 'sampler_nam' is not a field of castle."),
    "f.yaml": ("prompt: 'a\n", "f.yaml, line "),
    "g.yaml": ("a: 1\na: 2\n", "g.yaml, line 2: 'a' stands here for the second time; remove one."),
    "h.yaml": ("steps: 900\nlake:\n  prompt: a\n", "h.yaml, line 1: Payload 'lake': steps must lie between"),
    "i.toml": ('prompt = "a"\nsteps = 5.5\n', "i.toml, line 2: 'i.toml.steps' must be a whole number, not 5.5."),
    "j.toml": ('prompt = "a"\nsteps =\n', "j.toml, line 2: not valid TOML"),
    "k.toml": ('prompt = """\nsteps = 5\n"""\n[x]\nwidth = 65\n', "k.toml, line 5: Payload 'x': width must be"),
    "l.toml": ("[[payloads]]\nsteps = 5\n[[payloads]]\nsteps = 0\n", "l.toml, line 4: Payload 'l 2': steps must lie"),
    "m.yaml": ("a: {name: x}\nb: {name: x}\n", "m.yaml has two payloads 'x'; give one of them another name."),
    "n.yaml": ("prompt: a\nscript_name: X/Y/Z plot\n", "n.yaml, line 2: 'script_name' is not done by Optim"),
    "o.yaml": ("wildcard_type: jinja2\n", "o.yaml, line 1: 'wildcard_type' is 'jinja2'; Optim knows none, random"),
    "p.yaml": ("defaults:\n- cargo: [gone]\n", "gone.yaml cannot be read: No such file or directory."),
    "q.yaml": (
        "defaults:\n- cargo: [../q]\n",
        "q.yaml: '../q' is no name of a file in the folder 'cargo'.",
    ),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=TOML) if n.endswith("toml") else n for n in WRONG])
def test_every_mistake_is_told_with_file_and_line(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]
    assert refused(write(tmp_path, name, text))[0].startswith(words)


def test_the_line_of_every_entry_of_a_json_file(tmp_path: Path) -> None:
    text = '[\n {"a": [1,\n 2, {"b":\n "]"}], "c": {}},\n 5, [\n[]\n]]'
    data, lines = read_file(write(tmp_path, "x.json", text))
    assert data == json.loads(text)
    assert lines == {
        "[0]": 2, "[0].a": 2, "[0].a[0]": 2, "[0].a[1]": 3, "[0].a[2]": 3, "[0].a[2].b": 3, "[0].c": 4, "[1]": 5,
        "[2]": 5, "[2][0]": 6,
    }  # fmt: skip


# The fields of the files that s1dlx/sd-webui-bayesian-merger and Enferlain/sd-optim ship as templates.
CARGO = """
defaults:
  - cargo:
    - castle
    - lake

score_weight: 1.0
prompt: ""
neg_prompt: "blurry"
n_iter: 1
batch_size: 2
steps: 20
cfg_scale: 7
width: 512
height: 512
sampler_name: Euler a
sampler_index: Euler
seed: 218
subseed: -1
subseed_strength: 0
seed_resize_from_h: -1
seed_resize_from_w: -1
enable_hr: false
denoising_strength: 0
firstphase_width: 0
firstphase_height: 0
hr_scale: 2
hr_upscaler: "4x_fatal_Anime_500000_G"
hr_second_pass_steps: 0
hr_resize_x: 0
hr_resize_y: 0
styles: []
restore_faces: false
tiling: false
eta: 0
s_churn: 0
s_tmax: 0
s_tmin: 0
s_noise: 1
"""


def test_the_cargo_of_other_programs(tmp_path: Path) -> None:
    cargo = write(tmp_path, "cargo.yaml", CARGO)
    write(
        tmp_path, "cargo/castle.yaml", "my castle:\n  score_weight: 2.0\n  prompt: a __place__\n  cfg: 5\n  steps: 30\n"
    )
    write(tmp_path, "cargo/lake.yaml", "lake:\n  prompt: a lake\n  negative_prompt: fog\n")
    castle, lake = load_payload(cargo)
    assert (castle.name, castle.prompt, castle.steps, castle.score_weight) == ("my castle", "a __place__", 30, 2.0)
    assert (castle.sampler_name, castle.negative_prompt, castle.seed, castle.images) == ("Euler a", "blurry", 218, 2)
    assert (lake.negative_prompt, lake.steps) == ("fog", 20)
    assert castle.cfg_scale == 5
    assert set(lake.used_fields()) == {"prompt", "negative_prompt", "seed", "sampler_name", "eta"}  # not hires fix's
    assert payload_files(tmp_path) == [cargo]  # what lies in the folder cargo is not listed by itself
    write(tmp_path, "cargo/lake.yaml", "lake:\n  prompt: a lake\n  stepz: 3\n")
    assert refused(cargo) == ["cargo/lake.yaml, line 3: 'stepz' is not a field of lake. Did you mean 'steps'?"]


def test_a_request_as_auto_mbw_rt_saves_it(tmp_path: Path) -> None:
    request = {
        "prompt": "a {red|blue} cat", "negative_prompt": None, "wildcard_type": "combinatorial",
        "sampler_index": "Euler",
        "script_name": None, "script_args": [], "override_settings_restore_afterwards": True, "seed": 1, "steps": 48,
        "send_images": True, "firstphase_width": 0, "hr_upscaler": "Latent", "alwayson_scripts": {}, "styles": [],
    }  # fmt: skip
    [payload] = load_payload(write(tmp_path, "am.json", json.dumps(request)))
    assert payload == Payload(
        "am", "a {red|blue} cat", seed=1, steps=48, sampler_name="Euler", wildcards="all", hr_upscaler="Latent"
    )


def test_where_toml_cannot_be_read_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", None)
    assert "TOML needs Python 3.11 or the package tomli" in refused(write(tmp_path, "a.toml", "steps = 5"))[0]


def test_json_files_count_over_the_others(tmp_path: Path) -> None:
    for name in ("a.json", "z.yaml", "b.toml", "notes.txt"):
        write(tmp_path, name, "")
    assert [path.name for path in payload_files(tmp_path)] == ["b.toml", "z.yaml", "a.json"]
    assert payload_files(tmp_path / "none") == []
