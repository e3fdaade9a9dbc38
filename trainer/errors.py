"""The errors of `trainer`.

    TrainerError
    ├── InvalidMixture       a shape, gate, mask or loss that cannot be; the message says what can
    ├── ModelMismatch        a plan or an adapter does not fit the model that it is put on
    ├── BadAdapter           a saved adapter is damaged, was changed, or is of a newer format
    ├── InvalidRecipe        a recipe with a field or a value that cannot be
    ├── TrainingStopped      a run that cannot go on; its last good checkpoint is kept
    ├── InvalidTexts         a file of texts that cannot be read, or holds nothing to measure on
    ├── InvalidData          training data that cannot be read, or does not fit the recipe's task
    ├── NotMeasurable        what was asked cannot be measured, or came out as no number
    └── NotExportable        a mixture cannot be said in the form that was asked for

Every message names the thing, the cause and the next step.
"""


class TrainerError(Exception):
    """Base class of every error that `trainer` raises on purpose."""


class InvalidMixture(TrainerError, ValueError):
    """A shape, gate, mask or loss that cannot be."""


class ModelMismatch(TrainerError, ValueError):
    """A plan or an adapter does not fit the model that it is put on."""


class BadAdapter(TrainerError, ValueError):
    """A saved adapter is damaged, was changed, or is of a newer format."""


class InvalidRecipe(TrainerError, ValueError):
    """A recipe with a field or a value that cannot be."""


class TrainingStopped(TrainerError, RuntimeError):
    """A run that cannot go on; its last good checkpoint is kept."""


class InvalidTexts(TrainerError, ValueError):
    """A file of texts that cannot be read, or holds nothing to measure on."""


class InvalidData(TrainerError, ValueError):
    """Training data that cannot be read, or does not fit the recipe's task."""


class NotMeasurable(TrainerError, ValueError):
    """What was asked cannot be measured, or came out as no number."""


class NotExportable(TrainerError, ValueError):
    """A mixture cannot be said in the form that was asked for."""
