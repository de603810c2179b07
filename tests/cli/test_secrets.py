"""Nothing that a run writes or prints holds a key, a token or another value of the environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import CONFIGS, CPU, ONE_THREAD

pytestmark = pytest.mark.slow

SECRETS = {
    "WANDB_API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
    "HF_TOKEN": "hf_QmVyeVNlY3JldFRva2VuT2ZOb2JvZHk",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYNOTAKEY",
    "DATABASE_URL": "postgres://somebody:correct-horse-battery@db.internal/runs",
    "UNHEARD_OF": "a value that only the environment has",
}


@pytest.mark.parametrize("logger", ["lightning.pytorch.loggers.CSVLogger", "adaptive_dropout.tracking.WandbLogger"])
def test_no_key_token_or_environment_is_in_any_file_or_line(logger: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(CONFIGS / "quickstart.yaml", tmp_path / "own.yaml")
    home = tmp_path / "home"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(CONFIGS.parent), **ONE_THREAD}
    environment |= {"WANDB_MODE": "offline", **SECRETS}
    said = b""

    def run(*arguments: str) -> bytes:
        command = [sys.executable, "-m", "adaptive_dropout", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout + done.stderr

    fast = ["--trainer.max_epochs", "25", "--trainer.enable_progress_bar", "false", *CPU]
    save_dir = ["--trainer.logger", logger, "--trainer.logger.save_dir", "runs"]
    said += run("fit", "--config", str(tmp_path / "own.yaml"), *save_dir, *fast)
    (file,) = work.rglob("decisions.jsonl")
    said += run("report", str(file.parent)) + run("replay", str(file.parent))
    files = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert {"decisions.jsonl", "report.html", "replay.png", "config.yaml"} <= {path.name for path in files}
    assert any(path.suffix == ".ckpt" for path in files)
    found = [
        (name, str(path.relative_to(work)))
        for path, content in (*files.items(), (work / "what was printed", said))
        for name, value in SECRETS.items()
        if value.encode() in content
    ]
    assert found == []
