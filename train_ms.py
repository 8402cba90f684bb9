"""Train one model of several voices, or go on training it; the same loop as train.py.

    python train_ms.py -c configs/vctk.json                 # into runs/vctk
    python train_ms.py -m runs/vctk                         # go on with the run's own configuration
"""

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

from training import trainer


def main() -> None:
    """The command line; see `training.trainer.main`."""
    trainer.main(__doc__, multispeaker=True)


if __name__ == "__main__":
    main()
