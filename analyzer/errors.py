"""The errors of `analyzer`.

    AnalyzerError
    ├── InvalidOption        an option, stack, module or device that does not exist
    ├── ModelNotFound        the model's name or path leads nowhere
    │   ├── RevisionNotFound the repository has no such branch, tag or commit
    │   └── AccessDenied     the Hub keeps it from who asks: gated, private, or a bad token
    ├── HubUnavailable       the Hub cannot be reached, or asks to wait for too long
    ├── BadModel             the model's files cannot be used as they are
    │   ├── UnreadableFile   truncated, not safetensors, or a header that lies
    │   │   └── CorruptFile  its bytes are not those that its commit names
    │   ├── MissingShard     the index names a file that is not there
    │   ├── UnsupportedFormat  quantised or pickled weights that cannot be read
    │   └── NothingToAnalyse no matrix of a transformer block among the tensors
    ├── NotEnoughMemory      a matrix that does not fit in memory
    └── StoreError           the folder of kept spectra cannot be used

Every message is one line that names the thing, the cause and the next step.
"""


class AnalyzerError(Exception):
    """Base class of every error that `analyzer` raises on purpose."""


class InvalidOption(AnalyzerError):
    """An option, stack, module or device that does not exist."""


class ModelNotFound(AnalyzerError):
    """The model's name or path leads nowhere."""


class RevisionNotFound(ModelNotFound):
    """The repository has no such branch, tag or commit."""


class AccessDenied(ModelNotFound):
    """The Hub keeps the model from who asks: it is gated, private, or the token is bad."""


class HubUnavailable(AnalyzerError):
    """The Hub cannot be reached, or asks to wait for longer than we do."""


class BadModel(AnalyzerError):
    """The model's files cannot be used as they are."""


class UnreadableFile(BadModel):
    """A file is truncated, is not safetensors, or has a header that lies."""


class CorruptFile(UnreadableFile):
    """A file's bytes are not those that its commit names."""


class MissingShard(BadModel):
    """The index names a file that is not there."""


class UnsupportedFormat(BadModel):
    """Quantised or pickled weights that cannot be read."""


class NothingToAnalyse(BadModel):
    """No matrix of a transformer block is among the tensors."""


class NotEnoughMemory(AnalyzerError):
    """A matrix does not fit in memory."""


class StoreError(AnalyzerError):
    """The folder of kept spectra cannot be used."""
