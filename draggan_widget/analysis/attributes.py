"""What an edit changed in attributes, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from draggan_widget.directions import Directions

if TYPE_CHECKING:
    import pandas as pd

    from draggan_widget.models import Generator


def changed_attributes(
    model: Generator | Directions,
    before: Any,
    after: Any,
    *,
    names: Iterable[str] | None = None,
    least: float = 0.0,
) -> pd.DataFrame:
    """Return how much two latents differ in each attribute, the largest change first.

    :param model: whose latents they are, or its ``Directions``, which then have those that were taught.
    :param before: (1, num_ws, w_dim), such as ``result.state.w0``. :param after: likewise.
    :param names: of attributes, groups or sets; None for all. :param least: changes below it, in σ, are left out.
    :returns: a table by name, with ``label`` and ``group``, and in σ above the model's mean ``before`` and ``after``,
        and their difference, ``change``.
    :raises ValueError: for latents that the model does not have, or a name that is none.
    :raises ModuleNotFoundError: without pandas, saying how to get it.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("changed_attributes() needs pandas: pip install pandas") from error
    directions = model if isinstance(model, Directions) else Directions(model)
    asked = None if names is None else directions.resolve(names)
    was, now = directions.measure(before, asked), directions.measure(after, asked)
    rows = [
        {
            "attribute": each.name,
            "label": each.label,
            "group": each.group,
            "before": was[each.name],
            "after": now[each.name],
            "change": now[each.name] - was[each.name],
        }
        for each in directions.listed()
        if each.name in was and abs(now[each.name] - was[each.name]) >= least
    ]
    columns = ["attribute", "label", "group", "before", "after", "change"]
    table = pd.DataFrame(rows, columns=columns).set_index("attribute")
    return table.sort_values("change", key=abs, ascending=False, kind="stable")
