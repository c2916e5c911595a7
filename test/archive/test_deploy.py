# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The files for Kubernetes and SLURM name what is there.

Both files of Kubernetes were checked once, strictly, against the CustomResourceDefinitions of
KubeRay; here the parts are checked that a change of this repository could break.
"""

import argparse
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from ttt3r_ros.tools import archive

GROUP = {'replicas', 'minReplicas', 'maxReplicas', 'groupName', 'rayStartParams', 'template'}
CLUSTER = {
    'rayVersion',
    'authOptions',
    'enableInTreeAutoscaling',
    'autoscalerOptions',
    'headGroupSpec',
    'workerGroupSpecs',
}
JOB = {
    'entrypoint',
    'shutdownAfterJobFinishes',
    'ttlSecondsAfterFinished',
    'backoffLimit',
    'rayClusterSpec',
}


@pytest.fixture(scope='module')
def folder(repository):
    return repository / 'deploy' / 'archive'


def documents(path):
    return {text['kind']: text for text in yaml.safe_load_all(path.read_text())}


@pytest.fixture(scope='module')
def job(folder):
    return documents(folder / 'rayjob.yaml')


@pytest.fixture(scope='module', params=['rayjob.yaml', 'raycluster.yaml'])
def cluster(request, folder):
    found = documents(folder / request.param)
    if 'RayJob' in found:
        return found['RayJob']['spec']['rayClusterSpec']
    return found['RayCluster']['spec']


def parsed(words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    archive.add_arguments(parser)
    return parser.parse_args(words)


def pods(cluster):
    groups = [cluster['headGroupSpec'], *cluster['workerGroupSpecs']]
    return [group['template']['spec'] for group in groups]


def test_the_fields_are_those_of_kuberay(job, cluster):
    assert job['RayJob']['apiVersion'] == 'ray.io/v1'
    assert set(job['RayJob']['spec']) == JOB
    assert set(cluster) == CLUSTER
    assert set(cluster['headGroupSpec']) == {'rayStartParams', 'template'}
    for group in cluster['workerGroupSpecs']:
        assert set(group) == GROUP
        assert group['minReplicas'] <= group['replicas'] <= group['maxReplicas']
        # Parameters of `ray start` are words, whatever they mean.
        assert all(isinstance(value, str) for value in group['rayStartParams'].values())
    assert cluster['headGroupSpec']['rayStartParams'] == {'num-cpus': '0'}
    assert cluster['authOptions'] == {'mode': 'token'}


def test_every_mount_has_its_volume_and_all_nodes_have_one_image_and_the_maps(cluster, job):
    images = set()
    for pod in pods(cluster):
        (container,) = pod['containers']
        images.add(container['image'])
        volumes = {volume['name'] for volume in pod['volumes']}
        mounts = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
        assert set(mounts) == volumes
        assert mounts['maps'] == '/maps'
        claims = [v['persistentVolumeClaim'] for v in pod['volumes'] if v['name'] == 'maps']
        assert claims == [{'claimName': job['PersistentVolumeClaim']['metadata']['name']}]
    assert len(images) == 1
    assert job['PersistentVolumeClaim']['spec']['accessModes'] == ['ReadWriteMany']


def test_the_version_of_ray_is_the_pinned_one_everywhere(repository, folder, cluster):
    pinned = re.search(r'^ray==(.*)$', (repository / 'requirements/archive.txt').read_text(), re.M)
    image = re.search(r'^FROM rayproject/ray:([\d.]+)-', (folder / 'Dockerfile').read_text(), re.M)

    assert cluster['rayVersion'] == image[1] == pinned[1]


def test_the_command_of_the_job_is_accepted_and_fits_its_nodes(job):
    spec = job['RayJob']['spec']
    program, command, *words = shlex.split(spec['entrypoint'])
    given = parsed(words)
    (worker,) = spec['rayClusterSpec']['workerGroupSpecs']
    (container,) = worker['template']['spec']['containers']
    requests = container['resources']['requests']

    assert (program, command, given.cluster) == ('ttt3r', 'archive', 'auto')
    at_a_time = int(requests['nvidia.com/gpu']) / given.gpus_per_bag
    assert at_a_time == 4
    assert at_a_time * given.cpus_per_bag <= int(requests['cpu'])
    # Ray offers the memory of a node less its store and what its own processes take.
    memory = int(requests['memory'].removesuffix('Gi')) * 2**30
    store = int(worker['rayStartParams']['object-store-memory'])
    assert at_a_time * given.memory_per_bag * 1e9 <= memory - store - 2e9
    mounts = {mount['mountPath'] for mount in container['volumeMounts']}
    assert given.scratch in mounts
    assert f'/{given.output.parts[1]}' in mounts


def test_the_image_copies_what_is_there(repository, folder):
    lines = (folder / 'Dockerfile').read_text().splitlines()
    copied = [line.split()[2:-1] for line in lines if line.startswith('COPY')]

    assert all((repository / name).exists() for names in copied for name in names)
    assert ['ttt3r_ros'] in copied
    used = [name for line in lines for name in re.findall(r'-r (\S+)', line)]
    assert all((repository / name).is_file() for name in used)


def test_the_script_for_slurm_is_a_script_and_its_command_is_accepted(folder):
    script = folder / 'slurm.sh'
    text = script.read_text()
    command = text.partition('bin/ttt3r" archive ')[2].replace('"$@"', 'bags --output maps')
    options = dict(re.findall(r'^#SBATCH --([\w-]+)(?:=(\S+))?', text, re.M))

    subprocess.run(['bash', '-n', script], check=True)
    given = parsed(shlex.split(command))
    assert given.cluster == '$first:$port'
    assert options['ntasks-per-node'] == '1'
    assert {'nodes', 'time', 'exclusive', 'no-kill'} <= set(options)


def test_shellcheck_finds_nothing_in_the_script(folder):
    shellcheck = shutil.which('shellcheck')
    if shellcheck is None:
        pytest.skip('needs shellcheck: apt install shellcheck')

    found = subprocess.run(
        [shellcheck, folder / 'slurm.sh'], check=False, capture_output=True, text=True
    )

    assert found.stdout == ''
