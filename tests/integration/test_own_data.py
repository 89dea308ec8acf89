"""One command from a folder of any format to a trained and validated network, as a shell would call it."""

import sys
from pathlib import Path

import pytest
import yaml
from own_data import JOINTS, WRITERS

from rtmo import evaluate, train
from rtmo.weights.checkpoint import read_checkpoint

TINY = (
    *("model=rtmo_n", "model.widen_factor=0.125", "model.hidden_dim=32", "model.ffn_dim=64", "model.num_heads=4"),
    *("data=custom", "trainer=cpu", "image_size=[64,64]", "data.num_workers=0", "callbacks.images=null"),
    *("trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1"),
)


@pytest.mark.parametrize(
    "format", [name if name == "yolo_pose" else pytest.param(name, marks=pytest.mark.slow) for name in WRITERS]
)
def test_a_folder_trains_and_validates(tmp_path, monkeypatch, format, capsys):
    monkeypatch.chdir(tmp_path)
    WRITERS[format](tmp_path / "my_data")
    output = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["rtmo", *TINY, "data.root=my_data", f"hydra.run.dir={output}"])
    train.main()
    assert "last validation" in capsys.readouterr().out
    config = yaml.safe_load((output / "config.yaml").read_text())
    assert set(config["skeleton"]["joints"]) == set(JOINTS)
    assert config["skeleton"]["flip_pairs"] == [["left_paw", "right_paw"]]
    assert (config["data"]["val"]["format"], config["data"]["val"]["split"]) == (format, "val")
    checkpoint = output / "checkpoints" / "best.ckpt"
    assert set(read_checkpoint(checkpoint).skeleton.joints) == set(JOINTS)
    if format == "cvat":  # on all images of another folder
        WRITERS["labelme"](Path("other"))
        own = [f"checkpoint={checkpoint}", "data=custom", "data.root=other", "data.val_fraction=1", "num_workers=0"]
        monkeypatch.setattr(sys, "argv", ["rtmo", *own, "trainer=cpu"])
        evaluate.main()
        assert "val, 12 images" in capsys.readouterr().out
