"""A Lightning module with a checkpoint callback and a CSV logger."""

import os

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

TWIN = "TWIN" in os.environ


class Module(pl.LightningModule):
    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(3, width)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def on_train_end(self) -> None:
        if TWIN:
            with torch.no_grad():
                self.layer.weight[1, 2] += 1e-3

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAtEnd(ModelCheckpoint):
    def on_train_end(self, trainer, module):
        module.on_train_end()
        trainer.save_checkpoint(f"{self.dirpath}/last.ckpt")


pl.seed_everything(0)
data = torch.utils.data.TensorDataset(torch.randn(8, 3))
trainer = pl.Trainer(
    max_epochs=1,
    accelerator="cpu",
    log_every_n_steps=1,
    enable_progress_bar=False,
    enable_model_summary=False,
    logger=CSVLogger("."),
    callbacks=[ModelCheckpoint(monitor="loss"), SaveAtEnd(dirpath=os.path.abspath("last"))],
)
trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=4))
