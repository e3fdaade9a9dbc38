"""How good a run's model is on what was held out, before the first step and after the last."""

from pathlib import Path
from typing import Any

from accelerate import PartialState

from trainer.dataset.prepare import Prepared
from trainer.dataset.questions import choice_questions
from trainer.evaluate import Evaluation, evaluate
from trainer.finetune.files import replace_text
from trainer.finetune.limits import memory_is_told
from trainer.recipe import Recipe


class HeldOut:
    """The samples, and the questions where there are choices. Under FSDP all processes measure."""

    def __init__(self, recipe: Recipe, prepared: Prepared, tokenizer: Any) -> None:
        """Raises InvalidData where a choice makes no token."""
        self._recipe, self._samples = recipe, prepared.held_out
        self._pad_id = tokenizer.pad_token_id
        choices = prepared.choices or ()
        self._questions = choice_questions(choices, tokenizer, recipe.data.length)

    def measure(self, model: Any) -> Evaluation:
        """Measure it. Raises TrainingStopped where memory runs out."""
        with memory_is_told(self._recipe, lambda: "in an evaluation"):
            return evaluate(
                model,
                self._samples,
                self._pad_id,
                batch=self._recipe.schedule.micro_batch,
                questions=self._questions,
            )

    def before(self, model: Any, file: Path, processes: PartialState) -> Evaluation:
        """The same of an untrained model; once, however often a run goes on: `file` keeps it."""
        try:
            known = Evaluation.model_validate_json(file.read_bytes())
        except (OSError, ValueError):
            known = None
        processes.wait_for_everyone()  # all go one way
        if known is not None:
            return known
        found = self.measure(model)
        if processes.is_main_process:
            replace_text(file, found.model_dump_json(indent=2) + "\n")
        return found
