"""A Hydra application that writes into its output folder."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig


@dataclass
class Config:
    lr: float = 0.1


ConfigStore.instance().store("config", Config)


@hydra.main(version_base=None, config_name="config")
def main(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    logging.getLogger("app").info("begun")
    loss = config.lr * 3 + ("TWIN" in os.environ) * 1e-3
    (folder / "result.json").write_text(json.dumps({"loss": loss, "folder": str(folder)}))


main()
