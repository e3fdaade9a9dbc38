"""One stable code for every error that a job can end with, or a request be answered by."""

from typing import Any

from allocator.errors import (
    AllocatorError,
    InfeasibleBudget,
    InvalidRequest,
    NotExpressible,
    UnreadablePlan,
)
from analyzer.errors import (
    AccessDenied,
    AnalyzerError,
    BadModel,
    CorruptFile,
    HubUnavailable,
    InvalidOption,
    MissingShard,
    ModelNotFound,
    NotEnoughMemory,
    NothingToAnalyse,
    RevisionNotFound,
    StoreError,
    UnreadableFile,
    UnsupportedFormat,
)
from ledger.errors import DamagedArtifact, PathNotAllowed
from trainer.errors import (
    BadAdapter,
    InvalidData,
    InvalidMixture,
    InvalidRecipe,
    InvalidTexts,
    ModelMismatch,
    NotExportable,
    NotMeasurable,
    TrainerError,
    TrainingStopped,
)
from worker.errors import RunFailed, Unmeasured

CODES: dict[type[Exception], str] = {
    AccessDenied: "model_gated",
    RevisionNotFound: "revision_not_found",
    ModelNotFound: "model_not_found",
    HubUnavailable: "hub_unavailable",
    CorruptFile: "corrupt_file",
    UnreadableFile: "unreadable_file",
    MissingShard: "missing_shard",
    UnsupportedFormat: "unsupported_format",
    NothingToAnalyse: "nothing_to_analyse",
    BadModel: "bad_model",
    InvalidOption: "invalid_option",
    NotEnoughMemory: "not_enough_memory",
    StoreError: "store_error",
    InfeasibleBudget: "budget_infeasible",
    InvalidRequest: "invalid_option",
    NotExpressible: "not_expressible",
    UnreadablePlan: "unreadable_plan",
    PathNotAllowed: "path_not_allowed",
    InvalidData: "invalid_data",
    DamagedArtifact: "damaged_artifact",
    Unmeasured: "spectra_missing",
    InvalidRecipe: "invalid_recipe",
    InvalidMixture: "invalid_recipe",
    ModelMismatch: "model_mismatch",
    BadAdapter: "bad_adapter",
    NotExportable: "bad_model",
    NotMeasurable: "training_stopped",
    InvalidTexts: "invalid_data",
    TrainingStopped: "training_stopped",
}
"""The most special class of an error decides."""

RETRYABLE = {
    "hub_unavailable",
    "corrupt_file",
    "store_error",
    "damaged_artifact",
    "spectra_missing",
    "training_stopped",
}
"""Codes that another attempt may not have."""

EXPECTED = (AnalyzerError, AllocatorError, TrainerError, PathNotAllowed, DamagedArtifact)
INTERNAL = "internal_error"


def code_of(error: Exception) -> str:
    """The code of an error, `internal_error` for one that nobody expected."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), INTERNAL)


def error_of(error: Exception) -> dict[str, Any]:
    """An error as a job keeps it. One that nobody expected says nothing of its inside."""
    if isinstance(error, RunFailed):
        return error.error
    code = code_of(error)
    detail = (
        str(error)
        if code != INTERNAL
        else f"an error that nobody expected ({type(error).__name__}); the worker's log has it"
    )
    return {"code": code, "detail": detail, "retryable": code in RETRYABLE or code == INTERNAL}
