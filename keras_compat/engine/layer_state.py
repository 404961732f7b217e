"""Pickles and deep copies of layers: each stands alone, with weights of its own."""

from __future__ import annotations

from typing import Any

# Attributes of a layer that say where it stands in a graph, and what was computed there: a copy stands alone.
_OF_THE_GRAPH: dict[str, Any] = {
    "_inbound_nodes": list,
    "_outbound_nodes": list,
    "_per_input_losses": dict,
    "_per_input_updates": dict,
    "_losses": list,
    "_updates": list,
    "_keep": list,
    "_metric_results": list,
    "_input_map": dict,
}


def state_of_layer(layer: Any) -> dict[str, Any]:
    """The attributes of a copy of a layer: all but its place in a graph, and the rules of its weights.

    Raises:
        NotImplementedError: it added a loss or an update when it was built, which belongs to its weights.
    """
    state = dict(layer.__dict__)
    weights = [*state.get("_trainable_weights", ()), *state.get("_non_trainable_weights", ())]
    rules = [(w, getattr(w, "constraint", None), getattr(w, "regularizer", None)) for w in weights]
    added = len(state.get("_per_input_losses", {}).get(None, ())) + len(
        state.get("_per_input_updates", {}).get(None, ())
    )
    if added > sum(penalty is not None for _, _, penalty in rules):
        raise NotImplementedError(
            f"[copy] the layer {layer.name!r} added a loss or an update in build(), which can not be copied. Make "
            "another from its config, and hand the weights over with set_weights()."
        )
    state.update({name: kind() for name, kind in _OF_THE_GRAPH.items() if name in state})
    return {**state, "_rules": rules}


def restore_layer(layer: Any, state: dict[str, Any]) -> None:
    """Give a layer the attributes from :func:`state_of_layer`."""
    rules = state.pop("_rules", ())
    layer.__dict__.update(state)
    for weight, constraint, penalty in rules:
        weight.constraint = constraint
        if penalty is not None:
            weight.regularizer = penalty
            layer.add_loss(penalty(weight))
