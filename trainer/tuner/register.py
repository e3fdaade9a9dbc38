"""How PEFT learns of a method from outside: its list of methods is an enumeration without an
extension point, so a member is added while running. Tested with the oldest and newest PEFT.
"""

from typing import Any

from peft.utils.peft_types import PeftType, register_peft_method

NAME = "tailora"
PREFIX = "tailora_"


def register(config_class: Any, model_class: Any) -> None:
    """Make `PeftType.TAILORA` and its classes known to PEFT; once a process."""
    if NAME.upper() in PeftType._member_map_:
        return
    _add_member(NAME.upper())
    register_peft_method(name=NAME, config_cls=config_class, model_cls=model_class, prefix=PREFIX)


def _add_member(name: str) -> None:
    member = str.__new__(PeftType, name)
    member._name_ = name
    member._value_ = name
    type.__setattr__(PeftType, name, member)
    PeftType._member_names_.append(name)
    PeftType._member_map_[name] = member
    PeftType._value2member_map_[name] = member
