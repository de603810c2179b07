"""`AdaptiveDropoutCallback` in transformers' own Trainer, on a BERT that asks whether a certain word is there."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from torch import nn

import adaptive_dropout as ad

hf = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from adaptive_dropout.callbacks.transformers import AdaptiveDropoutCallback  # noqa: E402
from adaptive_dropout.cli import main  # noqa: E402
from adaptive_dropout.tracking import read_run, replay  # noqa: E402
from tests.tracking.inspected import series_of  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*pin_memory.*")]


def examples(first: int, last: int) -> list[dict[str, Any]]:
    words = torch.randint(1, 20, (128, 12), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": row, "labels": int((row == 3).any())} for row in words]
    return rows[first:last]


def bert() -> nn.Module:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return hf.BertForSequenceClassification(hf.BertConfig(vocab_size=20, num_labels=2, **size))


def trainer(folder: Path, model: nn.Module, **settings: Any) -> Any:
    given: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": 48, "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 5,
        "per_device_train_batch_size": 8, "learning_rate": 3e-3, "report_to": [], "save_strategy": "no",
        "use_cpu": True, "disable_tqdm": True,
    }  # fmt: skip
    arguments = hf.TrainingArguments(**given | settings)
    return hf.Trainer(model, arguments, train_dataset=examples(0, 64), eval_dataset=examples(64, 128))


def run(folder: Path, controller: ad.Controller | None = None, resume: str | None = None, **settings: Any) -> Any:
    run = trainer(folder, bert(), **settings)
    callback = AdaptiveDropoutCallback(run, controller)
    run.add_callback(callback)
    run.train(resume_from_checkpoint=resume)
    return run, callback


def series(run: Any, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in run.state.log_history if name in row]


def test_rates_move_and_every_decision_is_logged_and_shown_by_wandb(tmp_path: Path) -> None:
    with wandb.init(dir=tmp_path, mode="offline"):
        done, callback = run(tmp_path, report_to=["wandb"])
    names = ad.get_rates(done.model)
    assert "bert.encoder.layer.0.attention.self.dropout" in names
    logged = {name: series(done, "dropout/" + name.replace(".", "_")) for name in names}
    assert all([step for step, _ in values] == list(range(2, 49, 2)) for values in logged.values())
    assert all(values[-1][1] == names[name] == callback.state.rates[name] for name, values in logged.items())
    losses = dict(series(done, "loss"))
    means = dict(series(done, "dropout_control/train_loss"))
    assert means[2] == pytest.approx(losses[2])
    assert means[6] == pytest.approx((losses[5] + losses[6]) / 2)
    shown = series_of(tmp_path)
    for name, values in logged.items():
        rates = shown["train/dropout/" + name.replace(".", "_")]
        assert rates == [p for _, p in values]
        assert len(set(rates)) > 1, f"{name} does not move"
    assert len(shown["train/dropout_control/gap"]) == 24


def test_the_best_weights_are_left_after_rewinds(tmp_path: Path) -> None:
    done, callback = run(tmp_path, max_steps=120)
    assert callback.state.rewinds >= 1
    best = min(loss for _, loss in series(done, "eval_loss"))
    assert done.evaluate()["eval_loss"] == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"gradient_accumulation_steps": 3}, marks=pytest.mark.slow)],
    ids=["plain", "accumulated"],
)
def test_a_resumed_run_goes_on_as_the_unbroken_one(settings: dict[str, Any], tmp_path: Path) -> None:
    saved = {"save_strategy": "steps", "save_steps": 14, "max_steps": 24, **settings}
    whole, first = run(tmp_path, **saved)
    again, rest = run(tmp_path, resume=str(tmp_path / "checkpoint-14"), **saved | {"save_strategy": "no"})
    assert rest.state == first.state
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True))
    kept = json.loads((tmp_path / "checkpoint-14" / "trainer_state.json").read_text())["stateful_callbacks"]
    assert kept["adaptive_dropout/eval_loss"]["decided_at"] == 14


def test_decisions_are_in_a_file_that_replay_and_report_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, callback = run(tmp_path, max_steps=24)
    record = read_run(tmp_path)
    assert record.monitor == "eval_loss"
    assert [decision.step for decision in record.decisions] == list(range(2, 25, 2))
    assert [state.rates for state in replay(record, callback.controller)[1:]] == [d.after for d in record.decisions]
    monkeypatch.chdir(tmp_path)
    for arguments in (["replay", "."], ["report", ".", "-o", "report.html"]):
        main(arguments)
    assert "RestartController" in capsys.readouterr().out
    assert "val_loss" in (tmp_path / "report.html").read_text()


def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    saved = {"save_strategy": "steps", "save_steps": 10, "max_steps": 14}
    run(tmp_path, **saved)
    before = read_run(tmp_path)
    run(tmp_path, resume=str(tmp_path / "checkpoint-10"), **saved | {"save_strategy": "no"})
    after = read_run(tmp_path)
    assert after.id == before.id
    assert [d.after for d in after.decisions] == [d.after for d in before.decisions]


def test_a_resumed_run_without_its_best_weights_is_told(tmp_path: Path) -> None:
    run(tmp_path, save_strategy="steps", save_steps=4, max_steps=4)
    (tmp_path / "checkpoint-4" / "dropout_snapshots.pt").unlink()
    with pytest.raises(FileNotFoundError, match="the best weights of the run; resume from a checkpoint in output_dir"):
        run(tmp_path, resume=str(tmp_path / "checkpoint-4"), max_steps=8)


def test_schedules_follow_the_steps_of_the_run(tmp_path: Path) -> None:
    model = bert()
    model.dropout = ad.Dropout(ad.LinearSchedule(0.4, 0.0))
    done = trainer(tmp_path, model, max_steps=8, logging_steps=1)
    done.add_callback(AdaptiveDropoutCallback(done, ad.FixedController()))
    done.train()
    assert series(done, "dropout/dropout") == [(step, pytest.approx(0.4 - 0.05 * (step - 1))) for step in range(1, 9)]


def test_a_rule_without_needs_is_given_the_logged_losses_only(tmp_path: Path) -> None:
    done, _ = run(tmp_path, ad.PlateauController(patience=1), max_steps=16)
    assert len(series(done, "dropout_control/gap")) == 8
    assert series(done, "dropout_control/clean_loss") == []


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"eval_strategy": "no"}, ValueError, "decides after each evaluation, but this run has none"),
        ({"monitor": "eval_accuracy"}, ValueError, "monitor 'eval_accuracy' has to be a loss, such as 'eval_loss'"),
        ({"controller": ad.HypergradientController()}, ValueError, "needs .'hypergradient'., measured in Lightning"),
        ({"model": nn.Linear(2, 2)}, ValueError, "finds no rate in Linear"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_steered_is_told(settings: dict[str, Any], error: Any, message: str, tmp_path: Path) -> None:
    own = {name: settings.pop(name) for name in ("monitor", "controller") if name in settings}
    broken = trainer(tmp_path, settings.pop("model", None) or bert(), **settings)

    def begin() -> None:
        broken.add_callback(AdaptiveDropoutCallback(broken, **own))
        broken.train()

    with pytest.raises(error, match=message):
        begin()


def test_a_monitor_that_no_evaluation_has_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    going = trainer(tmp_path, bert(), max_steps=8)
    going.add_callback(AdaptiveDropoutCallback(going, monitor="eval_other_loss"))
    expected = r"'eval_other_loss' is in no evaluation yet; the metrics are .*'eval_loss'"
    with pytest.warns(UserWarning, match=expected) as told:
        going.train()
    assert len([warning for warning in told if "in no evaluation" in str(warning.message)]) == 1
    assert going.state.global_step == going.state.max_steps


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.delitem(sys.modules, "adaptive_dropout.callbacks.transformers")
    with pytest.raises(ImportError, match=r"pip install 'adaptive-dropout\[transformers\]'"):
        importlib.import_module("adaptive_dropout.callbacks.transformers")
