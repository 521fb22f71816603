"""Calls in processes of their own: same answers however many at once, and nothing left behind by any way to end."""

import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import errands
import pytest
from rich.console import Console

from tutseg.errors import InputError, Stopped
from tutseg.training.display import Clock, Display
from tutseg.training.side_by_side import Answer, Call, Watcher, make_calls, processes

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def found_by_name(monkeypatch):
    """Other processes find `errands`."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])))
    monkeypatch.delenv("TUTSEG_JOBS", raising=False)


class Diary(Watcher):
    def __init__(self):
        self.events = []

    def started(self, call):
        self.events.append(("started", call.name))

    def reported(self, call, stage, done, total):
        self.events.append((stage, call.name, done, total))

    def ended(self, call, answer):
        self.events.append(("ended", call.name))

    def of(self, event):
        return [name for kind, name, *_ in self.events if kind == event]


def gone(pid: int) -> bool:
    """Whether a process has ended (a dead child that nobody has waited for counts)."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def soon(happens, seconds=60.0) -> bool:
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_answers_do_not_depend_on_how_many_run_at_once(at_once):
    diary = Diary()
    answers = make_calls([Call(str(x), errands.square, (x,)) for x in range(5)], at_once, diary)
    assert {name: answer.value for name, answer in answers.items()} == {str(x): x * x for x in range(5)}
    assert diary.of("started") == list("01234") and sorted(diary.of("ended")) == list("01234")
    assert sorted(diary.of("train")) == sorted(2 * list("01234"))


def test_a_call_is_made_in_another_process_which_knows_its_share():
    answers = make_calls([Call(name, errands.where) for name in "abcd"], 2, share=3)
    pids = {answer.value[0] for answer in answers.values()}
    assert len(pids) <= 2 and os.getpid() not in pids
    assert {answer.value[1] for answer in answers.values()} == {"3"}
    assert all(gone(pid) for pid in pids)


def test_a_death_takes_its_own_call_alone():
    calls = [Call("a", errands.square, (2,)), Call("killed", errands.die, (-9,)), Call("b", errands.square, (3,))]
    calls += [Call("aborted", errands.die, (7,)), Call("c", errands.square, (4,)), Call("d", errands.square, (5,))]
    answers = make_calls(calls, 2)
    assert [answers[name].value for name in "abcd"] == [4, 9, 16, 25]
    assert str(answers["killed"].error).startswith("its process was killed by SIGKILL (out of memory?)")
    assert str(answers["aborted"].error).startswith("its process ended with exit code 7 (last words)")
    assert all(isinstance(answers[name].error, InputError) for name in ("killed", "aborted"))


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_is_the_answer_and_the_rest_goes_on(at_once):
    calls = [Call("torn", errands.refuse), Call("index", errands.stumble), Call("odd", errands.be_odd)]
    answers = make_calls([*calls, Call("good", errands.square, (2,))], at_once)
    torn, index, odd = (answers[name].error for name in ("torn", "index", "odd"))
    assert answers["good"].value == 4
    assert isinstance(torn, InputError) and (torn.what, torn.remedy) == ("the picture is torn", "take another")
    assert isinstance(index, IndexError) and "ab" in str(odd)
    if at_once > 1:
        assert "return [][1]" in index.__notes__[0] and 'Odd("a", "b")' in odd.__notes__[0]


def test_what_a_call_is_made_from_comes_first_and_its_failure_is_the_calls_own():
    diary = Diary()
    calls = [
        Call("child", errands.square, (3,), after=("parent",)),
        Call("parent", errands.wait_and_tell, (0.2, "x")),
        Call("orphan", errands.square, (4,), after=("torn",)),
        Call("heir", errands.square, (4,), after=("orphan",)),
        Call("torn", errands.refuse),
    ]
    for at_once in (1, 2):
        diary.events.clear()
        answers = make_calls(calls, at_once, diary)
        assert diary.events.index(("ended", "parent")) < diary.events.index(("started", "child"))
        assert answers["child"].value == 9
        assert "torn, which orphan is made from, failed" in str(answers["orphan"].error)
        assert "orphan, which heir is made from" in str(answers["heir"].error)
        assert "orphan" not in diary.of("started") and sorted(diary.of("ended")) == sorted(answers)


def test_calls_that_wait_for_each_other_are_refused():
    with pytest.raises(ValueError, match="wait for each other"):
        make_calls([Call("a", errands.square, (1,), after=("b",)), Call("b", errands.square, (1,), after=("a",))], 1)


def test_what_others_are_at_is_left_for_last():
    diary = Diary()
    calls = [Call(name, errands.square, (1,)) for name in "abcd"]
    make_calls(calls, 1, diary, later=lambda call: call.name in "ac")
    assert diary.of("started") == list("bdac")


def test_a_warning_arrives_once_however_many_processes_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        make_calls([Call(name, errands.warn) for name in "abcd"], 2)
    assert [str(each.message) for each in caught] == ["old data"]


def test_what_other_processes_read_is_on_the_list_of_the_page(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in ("one.csv", "two.csv"):
        (tmp_path / "data" / name).write_text(name)
    monkeypatch.setenv("TUTSEG_ROOT", str(tmp_path))
    monkeypatch.setenv("TUTSEG_READ_LOG", str(tmp_path / "read"))
    make_calls([Call(name, errands.read, (str(tmp_path / "data" / name),)) for name in ("one.csv", "two.csv")], 2)
    assert {"data/one.csv", "data/two.csv"} <= set((tmp_path / "read").read_text().split())


def test_as_many_processes_as_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert processes("cpu") == 6
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert processes("cpu") == 1
    monkeypatch.setenv("TUTSEG_JOBS", "3")
    assert processes("cpu") == processes("cuda") == 3
    monkeypatch.delenv("TUTSEG_JOBS")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert processes("auto") == processes("cuda") == 1
    monkeypatch.setenv("TUTSEG_JOBS", "all")
    with pytest.raises(InputError, match="TUTSEG_JOBS=all"):
        processes("cpu")


# ---- ways to end -----------------------------------------------------------------------------------------------------

PARENT = """
    import sys
    import errands
    from tutseg.errors import Stopped
    from tutseg.training import side_by_side
    from tutseg.training.side_by_side import Call, make_calls
    side_by_side.PATIENCE_S = float(sys.argv[3])
    try:
        make_calls([Call(name, getattr(errands, sys.argv[2]), (sys.argv[1], name)) for name in "abc"], 2)
    except Stopped as stopped:
        sys.exit(f"tutseg: {stopped}")
"""


def parent(folder: Path, function: str = "linger", patience: float = 60.0) -> tuple[subprocess.Popen, list[int]]:
    """A process that lets two others work, and their ids."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), folder, function, str(patience)],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    files = [folder / "a.pid", folder / "b.pid"]
    assert soon(lambda: all(file.exists() and file.read_text() for file in files)), process.poll()
    return process, [int(file.read_text()) for file in files]


@pytest.mark.parametrize("whom", ["group", "parent"])
def test_ctrl_c_lets_every_process_save_and_is_one_line(tmp_path, whom):
    process, pids = parent(tmp_path)
    (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "tutseg: stopped with 0 of 3 done: the same command goes on there\n"
    assert {file.name for file in tmp_path.glob("*.saved")} == {"a.saved", "b.saved"}
    assert all(gone(pid) for pid in pids) and not (tmp_path / "c.pid").exists()


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    process, pids = parent(tmp_path, "be_deaf")
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    assert "stopped with 0 of 3" in process.communicate(timeout=30)[1]
    assert all(gone(pid) for pid in pids)


def test_whoever_does_not_end_in_time_is_killed(tmp_path):
    process, pids = parent(tmp_path, "be_deaf", patience=0.5)
    os.kill(process.pid, signal.SIGINT)
    assert "stopped with 0 of 3" in process.communicate(timeout=30)[1]
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(tmp_path, number):
    process, pids = parent(tmp_path)
    os.kill(process.pid, number)
    process.communicate()
    assert soon(lambda: all(gone(pid) for pid in pids), 20)
    assert {file.name for file in tmp_path.glob("*.saved")} == {"a.saved", "b.saved"}


def test_in_this_process_ctrl_c_is_the_same_line(monkeypatch):
    def interrupted(report):
        signal.raise_signal(signal.SIGINT)

    def stopped(report):
        raise Stopped("stopped after step 3 of 5", "the same command goes on there")

    with pytest.raises(Stopped, match="stopped with 1 of 3 done: the same command"):
        make_calls([Call("a", errands.square, (1,)), Call("b", interrupted), Call("c", interrupted)], 1)
    with pytest.raises(Stopped, match="after step 3 of 5"):
        make_calls([Call("a", stopped)], 1)


# ---- display ---------------------------------------------------------------------------------------------------------


def test_time_left_follows_from_what_was_paid(monkeypatch):
    """Two at once, four calls of cost 10: each takes 20 s once its process is there, one is half done, one begun."""
    now = [40.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    calls = [Call(name, errands.square, cost=10.0) for name in "abcd"]
    clock = Clock(calls, 2)
    for call in calls[:2]:
        clock.started(call)
    assert clock.left() is None and clock.told() == ""
    clock.reported(calls[0], "read", 1, 1)
    now[0] = 100.0
    clock.reported(calls[0], "train", 0, 10)
    assert clock.left() is None
    now[0] = 110.0
    clock.reported(calls[0], "train", 5, 10)
    # a: 10 s left; b (nothing reported), c, d: 20 s each; two at once
    assert clock.left() == pytest.approx((10 + 3 * 20) / 2)
    now[0] = 120.0
    clock.ended(calls[0], Answer(1, seconds=20.0))
    clock.ended(calls[1], Answer(error=InputError("torn")))
    assert clock.left() == pytest.approx(20.0) and clock.told() == "about 20 s left"
    clock.started(calls[2])
    clock.ended(calls[3], Answer(error=InputError("never begun")))
    assert clock.left() == pytest.approx(20.0)  # one alone gains nothing from a second process


def test_time_left_of_known_costs_passes_with_the_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    calls = [Call("long", errands.square, cost=100.0), Call("short", errands.square, cost=30.0)]
    clock = Clock(calls, 2, rate=1.0)
    assert clock.left() == pytest.approx(65.0)
    for call in calls:
        clock.started(call)
    now[0] = 40.0
    assert clock.left() == pytest.approx(60.0)
    now[0] = 500.0
    assert clock.left() == 0.0


def played(console: Console, **options) -> str:
    calls = [Call(name, errands.square, title=f"trial {name}") for name in "ab"]
    with Display(calls, 2, "trials", console=console, **options) as display:
        for call in calls:
            display.started(call)
        display.reported(calls[0], "train", 1, 10)
        display.reported(calls[0], "train", 3, 10)
        if display.bars:
            display.bars.refresh()
        display.ended(calls[1], Answer(error=InputError("torn")))
        display.ended(calls[0], Answer(1, seconds=300.0))
        if display.bars:
            display.bars.refresh()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_without_a_terminal_a_line_is_a_call():
    lines = played(Console(file=io.StringIO(), width=200)).splitlines()
    assert re.fullmatch(r"trial b: failed; 1 of 2 trials, about \d+ s left", lines[0])
    assert lines[1:] == ["trial a: 5 min; 2 of 2 trials"]
    assert played(Console(file=io.StringIO(), width=200), lines=False) == ""


def test_on_a_terminal_there_is_one_display():
    shown = played(Console(file=io.StringIO(), width=200, force_terminal=True))
    assert "0 of 2 trials" in shown and "2 of 2 trials" in shown and "left" in shown
    assert re.search(r"trial a: train .*3 of 10", shown)
