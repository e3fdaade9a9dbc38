"""lm-evaluation-harness with adapters of mixtures: `python -m trainer.harness`, then as `lm_eval`.

PEFT finds no method of others by itself, and the harness loads adapters by PEFT: this makes the
method known, and hands over.
"""

import sys

from trainer.tuner.facts import load_adapter

__all__ = ["load_adapter", "main"]


def main() -> None:
    """Run the harness's own command line. Ends with one line where it is not installed."""
    try:
        from lm_eval.__main__ import cli_evaluate
    except ImportError as error:
        sys.exit(
            f"error: lm-evaluation-harness cannot be loaded ({error}); install it with "
            "`pip install 'tailora[evaluate]'`"
        )
    cli_evaluate()


if __name__ == "__main__":
    main()
