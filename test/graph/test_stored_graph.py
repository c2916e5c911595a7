# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A graph as arrays: nothing is lost, and what cannot be is refused."""

import numpy as np
import pytest

from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.stored_graph import from_arrays, PARTS, StoredGraphError, to_arrays
from ttt3r_ros.graph.wheels import NOISES


def mapped(robot, steps=range(40), **given):
    graph = KeyFrameGraph(most_keys=36)
    for key in robot.drive(steps, **given):
        graph.add(key)
    return graph


def reloaded(graph, **given):
    arrays = {name: array.copy() for name, array in to_arrays(graph.stored()).items()}
    return KeyFrameGraph.resumed(from_arrays(arrays), **given)


def assert_same(one, other):
    """Compare the estimates of two graphs, to the bit."""
    assert list(one.poses) == list(other.poses)
    assert list(one.apart) == list(other.apart)
    for number in [*one.poses, *one.apart]:
        np.testing.assert_array_equal(one.pose_of(number), other.pose_of(number))
    assert one.log_scales == other.log_scales
    assert (one.loops, one.counts, one.lost) == (other.loops, other.counts, other.lost)


@pytest.mark.parametrize('odometry', [False, True])
def test_a_graph_saved_loaded_and_gone_on_with_is_as_if_never_saved(robot, other_room, odometry):
    graph = mapped(robot, odometry=odometry)
    for key in robot.drive(range(12), other_room, graph.next_number):  # a submap that stays apart
        graph.add(key)
    again = reloaded(graph, most_keys=36)
    graph.begin_submap()
    assert_same(again.belief, graph.belief)
    assert again.next_number == graph.next_number

    joined = 0
    for key in robot.drive(range(8, 24), first_number=graph.next_number, odometry=odometry):
        changes = [one.add(key) for one in (graph, again)]
        joined += changes[0].joined
        assert (changes[0].removed is None) == (changes[1].removed is None)
        assert_same(again.belief, graph.belief)
    assert joined == 1
    assert graph.belief.counts.accepted > 5


def test_a_loaded_map_is_lost_until_it_recognises(robot):
    graph = reloaded(mapped(robot), wheels=NOISES['good'])
    keys = robot.drive(range(8, 12), first_number=graph.next_number)

    assert graph.belief.lost
    assert not graph.locate(robot.at(keys[0])).in_map
    changes = [graph.add(key) for key in keys]

    assert [change.joined for change in changes] == [False, True, False, False]
    assert robot.error(graph.belief.poses[keys[-1].number], 11) < 0.2


def test_a_stored_map_holds_nothing_that_is_not_written(robot):
    arrays = to_arrays(mapped(robot, odometry=True).stored())
    again = to_arrays(from_arrays(arrays))

    assert arrays.keys() == again.keys() == PARTS.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert array.dtype == PARTS[name][0]


def test_a_key_frame_takes_the_memory_that_the_docs_state(robot):
    arrays = to_arrays(mapped(robot).stored())
    features = len(arrays['feature_px'])
    of_features = sum(a.nbytes for name, a in arrays.items() if name.startswith('feature_'))
    of_all = sum(array.nbytes for array in arrays.values()) - arrays['words'].nbytes

    assert of_features == 160 * features
    loops = (arrays['motion_kind'] > 2).sum() // 2
    assert of_all - of_features - 952 * loops < 2000 * len(arrays['number'])


def test_a_map_without_a_vocabulary_is_not_stored(robot):
    with pytest.raises(ValueError, match='has no places yet'):
        mapped(robot, range(9)).stored()


def spoilt(arrays, name, change):
    array = arrays[name].copy()
    change(array)
    return {**arrays, name: array}


def _set(index, value):
    def change(array):
        array[index] = value

    return change


@pytest.mark.parametrize(
    ('name', 'change', 'words'),
    [
        ('version', _set(0, 2), r'version \[2\], this program reads 1'),
        ('pose', _set((0, 0, 0), np.nan), 'pose is not finite'),
        ('pose', _set((0, 0, 0), 2.0), 'pose is no rigid motion'),
        ('motion_pose', _set((0, 3), 1.0), 'motion_pose is no rigid motion'),
        ('log_scale', _set(3, np.inf), 'log_scale is not finite'),
        ('motion_covariance', _set((0, 0, 0), -1.0), 'positive definite'),
        ('motion_kernel', _set(0, 0.0), 'motion_kernel is not positive'),
        ('step_sigma_kernel', _set((0, 0), np.nan), 'step_sigma_kernel is not positive'),
        ('motion_kind', _set(0, 9), 'motion_kind is none'),
        ('motion_pair', _set((0, 1), 999), 'names a key frame that it does not have'),
        ('motion_pair', _set((1, 0), 0), 'do not follow each other'),
        ('motion_pair', _set((-1, 0), 1), 'loops are not complete'),
        ('number', _set(3, 2), 'do not rise'),
        ('next_number', _set(0, 5), 'do not rise'),
        ('piece', _set(5, 5), 'leads from one submap to another'),
        ('piece', _set(5, 4), 'do not begin with their first'),
        ('features', _set(0, 1), 'features are not those'),
        ('feature_point', _set((0, 0), np.nan), 'neither before the camera nor unknown'),
        ('feature_point', _set((0, 2), -1.0), 'neither before the camera nor unknown'),
        ('camera', _set((0, 0, 0), 0.0), 'no focal length'),
        ('words', _set((0, 0), np.nan), 'words is not finite'),
    ],
)
def test_numbers_that_cannot_be_are_refused(saved, name, change, words):
    with pytest.raises(StoredGraphError, match=words):
        from_arrays(spoilt(saved, name, change))


def test_each_part_must_be_there_in_its_type_and_shape(saved):
    for name, array in saved.items():
        if name != 'motion_arm':  # maps of one camera were saved without
            with pytest.raises(StoredGraphError, match=name):
                from_arrays({key: value for key, value in saved.items() if key != name})
        with pytest.raises(StoredGraphError, match=name):
            from_arrays({**saved, name: array[..., None]})
        if name != 'version':
            with pytest.raises(StoredGraphError, match=name):
                from_arrays({**saved, name: array.astype(np.complex64)})
