"""Training that is killed goes on as if nothing had happened, to the bit."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cbir_bench.core.dataset import DataContext
from cbir_bench.core.errors import DataError
from cbir_bench.models.timm_backbone import TimmModel
from cbir_bench.training import precision, trainer
from cbir_bench.training import state as state_module
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.state import StateFile
from cbir_bench.training.trainer import train

SMALL = {"steps": 30, "classes_per_batch": 4, "images_per_class": 2, "n_threads": 1}
FULL = SMALL | {
    "loss": "arcface",
    "flip": True,
    "zoom": 0.1,
    "colour": 0.2,
    "validate_every": 8,
    "clip_norm": 1.0,
}
HERE = Path(__file__).parent


class Scripted:
    """A score that rises and falls, so that the best weights are not the last ones."""

    def __init__(self):
        self.scores = iter([0.1, 0.9, 0.3, 0.2])

    def __call__(self, vectors, classes):
        return {"map_at_r": next(self.scores), "spread": float(vectors.std())}


def assert_same(a, b):
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name]), name


@pytest.fixture(autouse=True)
def _save_after_every_step(monkeypatch):
    monkeypatch.setattr(state_module, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(state_module, "_SAVING_SHARE", 1e9)


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def stop_after(step):
    def progress(phase, n_done, n_total, loss, note=""):
        if (phase, n_done) == ("steps", step):
            raise StoppedError

    return progress


def stopped_and_resumed(network, again, data, recipe, saved, *stops, told=None):
    """Train until each of the stops in turn, then to the end, each time from a fresh network."""
    score = Scripted()
    for stop in stops:
        with pytest.raises(StoppedError):
            train(network(), data, recipe, stop_after(stop), score=score, saved=saved)
    notes = [] if told is None else told
    return train(
        again,
        data,
        recipe,
        lambda *event: notes.append((event[0], event[1], event[4])),
        score=score,
        saved=saved,
    )


@pytest.mark.parametrize("kind", ["make_network", "make_branched"])
@pytest.mark.parametrize("stops", [(1,), (7, 20), (17, 17, 29)])
def test_resumed_training_gives_the_same_weights_to_the_bit(
    kind, stops, tmp_path, make_data, request
) -> None:
    """Weights, class centres, moments, augmentation and dropout all go on where they were."""
    network = request.getfixturevalue(kind)
    data = make_data(*[6] * 8, val=(3,) * 4)
    recipe = TrainingRecipe(**FULL)
    straight, resumed = network(), network()

    expected = train(straight, data, recipe, score=Scripted())
    actual = stopped_and_resumed(network, resumed, data, recipe, tmp_path / "a" / "state", *stops)

    assert_same(straight, resumed)
    assert actual.losses == expected.losses
    assert actual.validations == expected.validations
    assert actual.best_step == expected.best_step == 16
    assert actual.n_resumed == len({*stops} - {1})  # where there was something new to go on from
    assert actual.seconds > 0


@pytest.mark.parametrize("head", ["cgd", "bdb"])
def test_a_real_network_goes_on_to_the_bit_with_two_threads(head, tmp_path, make_data) -> None:
    """Convolutions, batch statistics, dropped blocks and two branches; threads add up in one order."""
    model = TimmModel(
        backbone="test_resnet",
        weights="train",
        head=head,
        embedding_dim=12,
        image_size=64,
        device="cpu",  # a GPU adds up in any order
        output_stride=8,
    )
    context = DataContext(folders=(), cache=tmp_path)
    data = make_data(*[4] * 8)
    recipe = TrainingRecipe(
        loss="triplet", miner="none", steps=4, classes_per_batch=8, images_per_class=4, n_threads=2
    )
    straight, resumed = model.network(context), model.network(context)

    train(straight, data, recipe)
    with pytest.raises(StoppedError):
        train(model.network(context), data, recipe, stop_after(3), saved=tmp_path / "state")
    log = train(resumed, data, recipe, saved=tmp_path / "state")

    assert log.n_resumed == 1
    assert_same(straight, resumed)


def test_progress_tells_where_training_goes_on(tmp_path, make_data, make_network) -> None:
    """Without it, a bar that starts in the middle looks like a mistake."""
    told = []

    stopped_and_resumed(
        make_network,
        make_network(),
        make_data(*[6] * 8),
        TrainingRecipe(**SMALL),
        tmp_path / "state",
        17,
        told=told,
    )

    assert ("steps", 16, "goes on after step 16") in told


def test_a_finished_training_is_not_repeated(tmp_path, make_data, make_network) -> None:
    """A validation at the last step is saved: whoever is killed after it has lost nothing."""
    data, recipe = make_data(*[6] * 8, val=(3, 3)), TrainingRecipe(**FULL)
    first, again = make_network(), make_network()

    train(first, data, recipe, score=Scripted(), saved=tmp_path / "state")
    told = []
    log = train(
        again, data, recipe, lambda *e: told.append(e), score=Scripted(), saved=tmp_path / "state"
    )

    assert_same(first, again)
    assert len(log.losses) == 30
    assert [event[:2] for event in told if event[0] == "steps"] == [("steps", 30)]


def changed_file(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def half_file(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (changed_file, "the saved state is damaged"),
        (half_file, "the saved state is damaged"),
        (lambda path: path.write_bytes(b""), "the saved state is damaged"),
        (lambda path: (path.unlink(), path.mkdir()), "the saved state cannot be read"),
    ],
    ids=["a bit", "half", "empty", "a folder"],
)
def test_a_torn_state_is_not_used(damage, reason, tmp_path, make_data, make_network) -> None:
    """A disk that lies about what is written costs time, never the weights."""
    data, recipe, saved = make_data(*[6] * 8), TrainingRecipe(**SMALL), tmp_path / "state"
    straight, again = make_network(), make_network()
    train(straight, data, recipe)
    with pytest.raises(StoppedError):
        train(make_network(), data, recipe, stop_after(17), saved=saved)
    damage(saved)
    told = []
    if saved.is_dir():  # which cannot be replaced by a file either
        monkey = pytest.MonkeyPatch()
        monkey.setattr(StateFile, "is_due", lambda self: False)

    log = train(again, data, recipe, lambda *event: told.append(event[4]), saved=saved)

    if saved.is_dir():
        monkey.undo()
    assert_same(straight, again)
    assert log.n_resumed == 0
    assert any(reason in note for note in told)


@pytest.mark.parametrize("what", ["recipe", "images", "weights", "labels"])
def test_a_foreign_state_is_not_used(what, tmp_path, make_data, make_network) -> None:
    """Planted weights of another training would pass for these."""
    saved = tmp_path / "state"
    data, recipe, network = make_data(*[6] * 8), TrainingRecipe(**SMALL), make_network()
    other_data, other_recipe, other_network = data, recipe, make_network()
    if what == "recipe":
        other_recipe = TrainingRecipe(**SMALL | {"steps": 31})
    elif what == "weights":
        other_network = make_network(seed=1)
    elif what == "images":
        other_data = make_data(*[6] * 8)
        other_data.images.classes[3] = 5
    else:
        other_data = make_data(*[6] * 8, labels=[f"{row % 8}" for row in range(48)])
    with pytest.raises(StoppedError):
        train(other_network, other_data, other_recipe, stop_after(17), saved=saved)
    straight = make_network()
    train(straight, data, recipe)
    told = []

    train(network, data, recipe, lambda *event: told.append(event[4]), saved=saved)

    assert_same(straight, network)
    assert told[1].startswith("starts again: the saved state is of another recipe, data or version")


@pytest.mark.parametrize("what", ["hardware", "library"])
def test_a_state_of_another_machine_is_not_used(
    what, tmp_path, make_data, make_network, monkeypatch
) -> None:
    """What "auto" resolves to, and the library that draws batches and has the losses, decide the weights."""
    saved, data = tmp_path / "state", make_data(*[6] * 8)
    recipe = TrainingRecipe(**SMALL | {"precision": "auto"})
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: False)
    with pytest.raises(StoppedError):
        train(make_network(), data, recipe, stop_after(17), saved=saved)
    if what == "hardware":
        monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: True)
    else:
        monkeypatch.setattr(trainer, "version", lambda package: "0.0.1")
    told = []

    train(make_network(), data, recipe, lambda *event: told.append(event[4]), saved=saved)

    assert told[1].startswith("starts again: the saved state is of another recipe, data or version")


class _Evil:
    """A pickle that would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_state_that_would_run_code_is_not_used(
    tmp_path, make_data, make_network, monkeypatch
) -> None:
    """Even one with the right checksum."""
    saved, made = tmp_path / "state", tmp_path / "made"
    StateFile(saved, {}).save({"x": _Evil(made)})
    told = []

    train(
        make_network(),
        make_data(*[6] * 8),
        TrainingRecipe(**SMALL),
        lambda *event: told.append(event[4]),
        saved=saved,
    )

    assert not made.exists()
    assert any("starts again" in note for note in told)


def test_a_state_is_never_overwritten_in_place(tmp_path) -> None:
    """Whoever reads, or is killed, between two states has a whole one."""
    file = StateFile(tmp_path / "state", {})
    file.save({"step": 1})
    before = (tmp_path / "state").read_bytes()

    with (tmp_path / "state").open("rb") as old:
        file.save({"step": 2})
        actual = old.read()

    assert actual == before
    assert file.load()[0]["step"] == 2


def test_a_full_disk_is_said_and_the_last_state_stays(
    tmp_path, make_data, make_network, monkeypatch
) -> None:
    """One sentence, and what was saved before is still there."""
    saved = tmp_path / "state"
    with pytest.raises(StoppedError):
        train(
            make_network(),
            make_data(*[6] * 8),
            TrainingRecipe(**SMALL),
            stop_after(9),
            saved=saved,
        )
    before = saved.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(DataError) as caught:
        train(make_network(), make_data(*[6] * 8), TrainingRecipe(**SMALL), saved=saved)

    assert str(caught.value) == (
        f"The state of training cannot be saved in {saved}: No space left on device. Make room or choose "
        "another folder, and run the same command again; it goes on from the last state that was saved."
    )
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]


def test_a_disk_that_fills_up_while_torch_writes_is_said(tmp_path) -> None:
    """torch turns the system's error into one of its own; a limit on file size stands for the disk."""
    code = (
        "import resource, signal, sys, pathlib, torch\n"
        "from cbir_bench.core.errors import DataError\n"
        "from cbir_bench.training.state import StateFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    StateFile(pathlib.Path(sys.argv[1]), {}).save({'x': torch.zeros(1_000_000)})\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "cannot be saved in" in done.stdout
    assert ": File too large. Make room" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_states_are_saved_by_time_and_at_validations(
    tmp_path, make_data, make_network, monkeypatch
) -> None:
    """Twenty seconds of work are what a kill may cost; saving must not cost more than that."""
    monkeypatch.setattr(state_module, "SAVE_SECONDS", 3600.0)
    saves = []
    monkeypatch.setattr(StateFile, "save", lambda self, state: saves.append(state["history"]))

    train(
        make_network(),
        make_data(*[6] * 8, val=(3, 3)),
        TrainingRecipe(**FULL),
        score=Scripted(),
        saved=tmp_path / "state",
    )

    assert [len(one["losses"]) for one in saves] == [8, 16, 24, 30]


def test_a_slow_disk_is_written_to_less_often(tmp_path, monkeypatch) -> None:
    """A state that takes a minute is not saved every twenty seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(state_module, "SAVE_SECONDS", 20.0)
    monkeypatch.setattr(state_module, "_SAVING_SHARE", 0.1)
    monkeypatch.setattr(state_module, "_write", lambda path, state: (path.touch(), now.append(1)))
    file = StateFile(tmp_path / "state", {})

    def slow(path, state):
        path.touch()
        now[0] += 60

    monkeypatch.setattr(state_module, "_write", slow)
    now[0] = 20.0
    assert file.is_due()

    file.save({})

    now[0] += 599
    assert not file.is_due()
    now[0] += 1
    assert file.is_due()


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path) -> None:
    """And what a living one is writing is not."""
    old, young = tmp_path / ".state.1.tmp", tmp_path / ".state.2.tmp"
    other = tmp_path / ".other.1.tmp"
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (1, 1))

    StateFile(tmp_path / "state", {}).load()

    assert sorted(tmp_path.iterdir()) == sorted([young, other])


KILLED = f"""
import importlib.util, os, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("colours", {str(HERE / "conftest.py")!r})
colours = importlib.util.module_from_spec(spec)
sys.modules["colours"] = colours
spec.loader.exec_module(colours)
import torch
from cbir_bench.training import state
from cbir_bench.training.recipe import TrainingRecipe
from cbir_bench.training.trainer import train
state.SAVE_SECONDS, state._SAVING_SHARE = 0.0, 1e9
folder, when = Path(sys.argv[1]), sys.argv[2]
def progress(phase, n_done, n_total, loss, note=""):
    if when == "step" and (phase, n_done) == ("steps", 25):
        os.kill(os.getpid(), 9)
    if when == "outside" and (phase, n_done) == ("steps", 38):
        time.sleep(600)
    print(phase, n_done, note, flush=True)
if when == "saving":
    write, n_written = os.fsync, []
    def fsync(handle):
        n_written.append(1)
        if len(n_written) == 21:  # two for each state, the first of them when the file is written
            os.kill(os.getpid(), 9)
        write(handle)
    os.fsync = fsync
def score(vectors, classes):
    return {{"spread": float(vectors.std())}}
recipe = TrainingRecipe(loss="triplet", steps=40, classes_per_batch=4, images_per_class=2,
                        flip=True, colour=0.2, held_out=0.25, validate_every=10, n_threads=1)
network = colours.ColourNetwork()
log = train(network, colours.make_colours(*[6] * 8), recipe, progress, score=score,
            saved=folder / "state")
torch.save((network.state_dict(), log.losses, log.n_resumed), folder / f"weights-{{when}}")
"""


def run(folder, when):
    command = [sys.executable, "-c", KILLED, str(folder), when]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """Where a process left its weights that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    assert run(folder, "never").returncode == 0
    return folder / "weights-never"


@pytest.mark.parametrize("when", ["step", "saving"])
def test_a_killed_process_goes_on_in_the_next(when, tmp_path, straight) -> None:
    """kill -9 between steps, or while a state is written; the next process finds the last whole one."""
    first = run(tmp_path, when)
    second = run(tmp_path, "never")

    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0, second.stderr
    assert "goes on after step" in second.stdout
    actual = torch.load(tmp_path / "weights-never", weights_only=True)
    expected = torch.load(straight, weights_only=True)
    assert actual[1] == expected[1]
    assert all(torch.equal(actual[0][name], t) for name, t in expected[0].items())
    assert (actual[2], expected[2]) == (1, 0)


def test_a_process_killed_from_outside_goes_on_in_the_next(tmp_path) -> None:
    """At no step that anybody chose."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), "outside"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("steps 20 "):
            break
    process.kill()
    process.communicate()

    second = run(tmp_path, "never")

    assert process.returncode == -signal.SIGKILL
    assert second.returncode == 0, second.stderr
    notes = [line for line in second.stdout.splitlines() if "goes on after step" in line]
    assert len(notes) == 1
    assert int(notes[0].split()[1]) >= 19
    losses, n_resumed = torch.load(tmp_path / "weights-never", weights_only=True)[1:]
    assert (len(losses), n_resumed) == (40, 1)
