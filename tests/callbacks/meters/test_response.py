"""The response, learned while a real run trains."""

from __future__ import annotations

from pathlib import Path

import pytest

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import fit
from tests.callbacks.test_gradient_meters import Listener, task

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]


def test_the_response_ends_with_the_run_also_where_it_is_broken_off(tmp_path: Path) -> None:
    class Breaks(Classifier):
        def on_train_epoch_start(self) -> None:
            assert "noise" in vars(self.network.dropout1)
            if self.current_epoch == 1:
                raise RuntimeError("broken off")

    whole, broken = task(), Breaks(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    names = list(whole.state_dict())
    fit(whole, tmp_path, [DropoutRateControl(Listener(("response",)))])
    with pytest.raises(RuntimeError, match="broken off"):
        fit(broken, tmp_path, [DropoutRateControl(Listener(("response",)))])
    assert not {"noise", "forward"} & {*vars(whole.network.dropout1), *vars(broken.network.dropout1)}
    assert list(whole.state_dict()) == names
