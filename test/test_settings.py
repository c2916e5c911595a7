# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import dataclasses

import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import (
    changed,
    Checked,
    knob,
    knobs,
    MappingSettings,
    MapSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    rooms,
    SettingsError,
    values,
)


@dataclasses.dataclass(frozen=True)
class Oven(Checked):
    heat: float = knob(180.0, 'How hot it is.', 'degC', 30.0, 250.0)
    trays: int = knob(2, 'How many trays are in it.', '', 1, 4)
    weight: float = knob(1.0, 'How heavy the bread is.', 'kg', low=0.0)
    crust: float = knob(1.0, 'How thick its crust is.', 'mm', high=9.0)
    mode: str = knob('fan', 'What heats.', choices=('fan', 'grill'))


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        ({'heat': 250.1}, 'heat is 250.1, allowed is 30.0 to 250.0 degC'),
        ({'heat': float('nan')}, 'heat is nan, allowed is 30.0 to 250.0 degC'),
        ({'weight': float('nan')}, 'weight is nan, allowed is 0.0 to inf kg'),
        ({'crust': float('nan')}, 'crust is nan, allowed is -inf to 9.0 mm'),
        ({'heat': 'hot'}, "heat must be float, not 'hot' (str)"),
        ({'trays': 0}, 'trays is 0, allowed is 1 to 4'),
        ({'trays': 1.0}, 'trays must be int, not 1.0 (float)'),
        ({'trays': True}, 'trays must be int, not True (bool)'),
        ({'mode': 'steam'}, "mode must be one of fan, grill, not 'steam'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(wrong, said):
    with pytest.raises(SettingsError) as caught:
        Oven(**wrong)
    assert str(caught.value) == said


def test_a_user_can_put_a_wrong_setting_right():
    with pytest.raises(UserError):
        Oven(trays=9)


def test_the_ends_of_a_range_and_whole_numbers_for_floats_are_allowed():
    assert Oven(heat=30, trays=4).heat == 30
    assert Oven(heat=250.0, trays=1).trays == 1


@pytest.mark.parametrize(
    'room',
    [
        ModelSettings,
        MappingSettings,
        NodeSettings,
        RobotSettings,
        PlayerSettings,
        RecorderSettings,
    ],
)
def test_every_knob_has_a_sentence_and_a_default_that_is_allowed(room):
    room()
    for field in knobs(room).values():
        sentence = field.metadata['sentence']
        assert sentence[0].isupper()
        assert sentence.endswith('.'), f'{field.name}: {sentence}'


def test_settings_cannot_be_changed_behind_the_back_of_the_check():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MapSettings().voxel_size = -1.0


@dataclasses.dataclass(frozen=True)
class Kitchen(Checked):
    room = 'kitchen'
    flat_with_room = True

    lamps: int = knob(1, 'How many lamps are lit.', '', 0, 9)
    oven: Oven = dataclasses.field(default_factory=Oven)


@dataclasses.dataclass(frozen=True)
class House(Checked):
    kitchen: Kitchen = dataclasses.field(default_factory=Kitchen)


def test_settings_that_hold_others_have_all_their_knobs():
    assert rooms(House) == [Kitchen, Oven]
    assert [*knobs(House)] == ['kitchen.lamps', 'heat', 'trays', 'weight', 'crust', 'mode']
    assert values(House(Kitchen(3)))['kitchen.lamps'] == 3
    assert changed(House(), values(House(Kitchen(3, Oven(trays=4))))) == House(
        Kitchen(3, Oven(trays=4))
    )


def test_values_of_other_settings_change_nothing():
    assert changed(House(), {'lamps': 5, 'oven': 6, 'garden.lamps': 7}) == House()


def test_a_wrong_value_is_named_with_its_room():
    with pytest.raises(SettingsError, match=r'^kitchen\.lamps is 10, allowed is 0 to 9$'):
        changed(House(), {'kitchen.lamps': 10})


def test_no_two_knobs_of_the_node_have_the_same_name_even_without_dots():
    kinds = (ModelSettings, MappingSettings, NodeSettings)
    every = [room for kind in kinds for room in rooms(kind)]
    names = [room.full_name(field) for room in every for field in own_knobs(room)]
    flat = [room.flat_name(field) for room in every for field in own_knobs(room)]
    assert len({*names}) == len(names) == len({*flat})
