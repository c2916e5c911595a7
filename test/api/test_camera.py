# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loop over one's own images: advice, calibration and bad images are no matter of the user."""

import logging

import numpy as np
import pytest

import ttt3r_ros
from ttt3r_ros.evaluation.errors import errors_of
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import read_info, resolve_checkpoint, save_checkpoint
from ttt3r_ros.model.predictor import load_predictor, Predictor
from ttt3r_ros.settings import MappingSettings, ModelSettings, SettingsError
from ttt3r_ros.trajectory import read_trajectory


@pytest.fixture(scope='module')
def images(drive):
    """Return the images of the drive with their times in seconds."""
    return [(frame.rgb, frame.stamp_ns / 1e9) for frame in open_source(str(drive)).frames(1)]


def test_a_mapper_with_default_settings_does_what_the_checkpoint_advises():
    advised = int(read_info(resolve_checkpoint('small')).metadata['reset_interval'])

    by_hand = Mapper(load_predictor(ModelSettings()), MappingSettings())
    mapper = ttt3r_ros.CameraMapper()

    assert advised > 0
    assert by_hand.settings.tracking.reset_interval == advised
    assert mapper.mapper.settings.tracking.reset_interval == advised


def test_a_predictor_without_a_rule_takes_the_gain_that_the_checkpoint_advises(tmp_path):
    sizes, path = Architecture.tiny(), tmp_path / 'weights.safetensors'
    network = Network(sizes)
    save_checkpoint(path, network, sizes, {'gain_scale.ttt3r': '0.25'})
    with_advice, without = Predictor(network, read_info(path)), Predictor(network)
    rgb = np.random.default_rng(3).integers(0, 255, (32, 48, 3), dtype=np.uint8)

    gains = []
    for predictor in (with_advice, without):
        _, state = predictor.step(rgb, predictor.initial_state())
        gains.append(predictor.step(rgb, state)[0].gain_mean)

    assert gains[0] == pytest.approx(0.25 * gains[1], abs=1e-6)


def test_the_loop_does_what_ttt3r_map_does(images, drive):
    mapper = ttt3r_ros.CameraMapper(drive / 'camera.json')
    for rgb, seconds in images:
        assert mapper.add(rgb, seconds) is not None

    run = ttt3r_ros.map(drive)

    np.testing.assert_array_equal(mapper.trajectory.poses, run.trajectory.poses)
    np.testing.assert_array_equal(mapper.cloud.points, run.cloud.points)
    truth = read_trajectory(drive / 'groundtruth.txt')
    positions = truth.poses[:, :3, 3]
    still = np.sqrt(np.mean(np.sum((positions - positions.mean(axis=0)) ** 2, axis=1)))
    assert errors_of(mapper.trajectory, truth).ate.rmse < still


def test_a_bad_image_is_refused_with_its_reason_and_leaves_no_trace(images, caplog):
    with_it, without = ttt3r_ros.CameraMapper(), ttt3r_ros.CameraMapper()
    caplog.set_level(logging.WARNING)
    for number, (rgb, seconds) in enumerate(images[:6]):
        if number in (3, 4):
            assert with_it.add(np.zeros_like(rgb), seconds - 0.01) is None
            assert 'black' in with_it.refusal
        assert with_it.add(rgb, seconds) is not None
        assert with_it.refusal == ''
        without.add(rgb, seconds)

    assert (with_it.refused, without.refused) == (2, 0)
    assert [record.message for record in caplog.records if 'refused' in record.message] != []
    np.testing.assert_array_equal(with_it.trajectory.poses, without.trajectory.poses)


def test_a_view_with_strides_of_its_own_is_the_same_image(images):
    plain, viewed = ttt3r_ros.CameraMapper(), ttt3r_ros.CameraMapper()
    for rgb, seconds in images[:3]:
        plain.add(rgb, seconds)
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        viewed.add(bgr[..., ::-1], seconds)

    np.testing.assert_array_equal(plain.trajectory.poses, viewed.trajectory.poses)


def test_what_is_resized_has_strides_that_torch_reads(images):
    mapper, seen = ttt3r_ros.CameraMapper(checkpoint='random'), []
    resize = mapper.mapper.predictor.resize
    mapper.mapper.predictor.resize = lambda rgb, size: seen.append(rgb) or resize(rgb, size)

    mapper.add(images[0][0][..., ::-1])

    assert [rgb.flags.c_contiguous for rgb in seen] == [True]


def test_a_calibration_of_another_size_is_fitted_and_one_of_another_shape_ends_the_loop(images):
    height, width = images[0][0].shape[:2]
    double = ttt3r_ros.CameraIntrinsics.from_field_of_view(2 * width, 2 * height, 70.0)
    mapper = ttt3r_ros.CameraMapper(double)
    frame = mapper.add(*images[0])
    assert frame.tracked.camera.fx == pytest.approx(double.fx / 2, abs=1e-9)

    turned = ttt3r_ros.CameraIntrinsics.from_field_of_view(height, width, 70.0)
    with pytest.raises(ttt3r_ros.UserError, match='calibration is for'):
        ttt3r_ros.CameraMapper(turned).add(*images[0])


@pytest.mark.parametrize('wrong', [np.zeros((48, 64)), np.zeros((48, 64, 3)), 'image.png'])
def test_an_array_that_is_no_image_is_an_error_at_once(wrong):
    with pytest.raises(ttt3r_ros.UserError, match='uint8'):
        ttt3r_ros.CameraMapper(checkpoint='random').add(wrong)


def test_settings_have_the_names_of_options_and_a_wrong_one_is_told():
    mapper = ttt3r_ros.CameraMapper(checkpoint='random', voxel_size=0.02, occupancy_range=3.0)
    assert mapper.mapper.settings.map.voxel_size == 0.02
    assert mapper.mapper.settings.occupancy.range == 3.0

    with pytest.raises(SettingsError, match='is voxel_size meant'):
        ttt3r_ros.CameraMapper(voxelsize=0.02)
    with pytest.raises(SettingsError, match='voxel_size is 99'):
        ttt3r_ros.CameraMapper(voxel_size=99)


def test_a_map_is_saved_and_gone_on_with(images, tmp_path):
    mapper = ttt3r_ros.CameraMapper()
    for rgb, seconds in images[:3]:
        mapper.add(rgb, seconds)
    mapper.save_map(tmp_path / 'house.ttt3r')
    points = len(mapper.cloud)

    mapper.reset()
    assert len(mapper.cloud) == 0
    mapper.load_map(tmp_path / 'house.ttt3r')

    assert len(mapper.cloud) == pytest.approx(points, rel=0.01, abs=0)
