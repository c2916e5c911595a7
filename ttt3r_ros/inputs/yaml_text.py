# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""YAML and JSON of files of any origin."""

from __future__ import annotations

import json
from typing import Any

import yaml


class YamlError(ValueError):
    """A text is no YAML, or uses what no file that is read here needs."""


class _PlainLoader(yaml.SafeLoader):
    """
    Refuse aliases and values that contradict each other.

    A few aliases nest without end, or into more values than memory holds.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f'aliases (*{self.peek_event().anchor}) are not read')
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: dict[str, Any] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and (
                seen.setdefault(key.value, value.value) != value.value
            ):
                raise yaml.YAMLError(f'{key.value!r} is there twice, with different values')
        return super().construct_mapping(node, deep)


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a JSON object; where one is there twice, YAML decides."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError
    return record


def read_yaml(text: str) -> Any:
    """
    Read the first document of a text.

    :param text: YAML; or JSON, which is much faster to read.
    :returns: None where there is no document.
    :raises YamlError: why it cannot be read, in one line.
    """
    try:
        return json.loads(text, object_pairs_hook=_record)
    except RecursionError as error:
        raise YamlError('it is nested too deeply') from error
    except ValueError:
        pass  # YAML, then
    loader = _PlainLoader('')
    try:
        loader = _PlainLoader(text)
        return loader.get_data() if loader.check_data() else None
    except RecursionError as error:
        raise YamlError('it is nested too deeply') from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise YamlError(' '.join(str(error).split()) or type(error).__name__) from error
    finally:
        loader.dispose()
