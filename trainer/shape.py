"""How large one mixture is."""

from dataclasses import dataclass

from trainer.errors import InvalidMixture


@dataclass(frozen=True, slots=True)
class MixtureShape:
    """E experts of one rank at one linear layer; `top_k` of them are active under a topk gate."""

    experts: int
    top_k: int
    rank: int
    lora_alpha: float

    def __post_init__(self) -> None:
        """Raise InvalidMixture where no mixture can have this shape."""
        for name in ("experts", "top_k", "rank"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidMixture(f"{name} is {value!r}; give a whole number of at least 1")
        if self.top_k > self.experts:
            raise InvalidMixture(
                f"top_k is {self.top_k}, but there are {self.experts} experts; give at most that"
            )
        if not 0 < self.lora_alpha < float("inf"):
            raise InvalidMixture(f"lora_alpha is {self.lora_alpha!r}; give a number above 0")

    @property
    def scale(self) -> float:
        """What an expert's update is multiplied with: lora_alpha / rank."""
        return self.lora_alpha / self.rank

    @property
    def routed(self) -> bool:
        """Whether there is anything to choose: one expert has no router."""
        return self.experts > 1
