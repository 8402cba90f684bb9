"""Train a voice, or go on training it.

    python train.py -c configs/ljs.json                     # into runs/ljs
    python train.py -c configs/ljs.json -m runs/mine --set train.batch_size=16
    python train.py -m runs/mine                            # go on with the run's own configuration
"""

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

from training import trainer


def main() -> None:
    """The command line; see `training.trainer.main`."""
    trainer.main(__doc__, multispeaker=False)


if __name__ == "__main__":
    main()
