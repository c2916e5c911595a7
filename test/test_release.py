# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a release needs is there and agrees: names, versions, addresses, templates, containers."""

import json
import re
from xml.etree import ElementTree

import pytest
import yaml

MANIFEST = 'package.xml'
INSTRUCTIONS = {
    'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'FROM', 'RUN', 'SHELL', 'USER', 'WORKDIR',
}  # fmt: skip


@pytest.fixture(scope='module')
def manifest(repository):
    return ElementTree.parse(repository / MANIFEST).getroot()


def test_the_maintainer_has_an_address_and_the_package_its_places(manifest, repository):
    maintainer = manifest.find('maintainer')
    email = maintainer.get('email')
    places = {url.get('type'): url.text for url in manifest.findall('url')}

    assert re.fullmatch(r'[\w.+-]+@[\w-]+(\.[\w-]+)+', email)
    assert not email.endswith(('.invalid', '.example', '.local', '.test'))
    assert places.keys() == {'website', 'repository', 'bugtracker'}
    assert all(place.startswith('https://') for place in places.values())
    setup = (repository / 'setup.py').read_text()
    assert f"maintainer_email='{email}'" in setup
    assert f"url='{places['website']}'" in setup


def test_the_licence_that_is_named_is_the_one_that_is_there(manifest, repository):
    licence = manifest.find('license')

    assert licence.text == 'Apache-2.0'
    text = (repository / licence.get('file')).read_text()
    assert 'Apache License' in text
    assert 'Version 2.0, January 2004' in text


def test_the_citation_has_what_its_format_requires(manifest, repository):
    citation = yaml.safe_load((repository / 'CITATION.cff').read_text())

    assert citation['cff-version'] == '1.2.0'
    assert citation['type'] == 'software'
    for text in ('message', 'title', 'abstract'):
        assert isinstance(citation[text], str)
    assert citation['version'] == manifest.find('version').text
    assert citation['license'] == manifest.find('license').text
    assert citation['repository-code'] == manifest.find("url[@type='repository']").text
    for work in (citation, *citation['references']):
        assert work['authors']
        for author in work['authors']:
            assert author.keys() in ({'name'}, {'family-names', 'given-names'})
    readme = (repository / 'README.md').read_text()
    for paper in citation['references']:
        assert {'type', 'title', 'authors'} <= paper.keys()
        assert paper['url'] in readme


def test_the_forms_for_issues_are_complete(repository):
    forms = sorted((repository / '.github' / 'ISSUE_TEMPLATE').glob('*.yml'))
    assert len(forms) >= 3
    for path in forms:
        form = yaml.safe_load(path.read_text())
        if path.name == 'config.yml':
            assert form.keys() == {'blank_issues_enabled', 'contact_links'}
            continue
        assert {'name', 'description', 'body'} <= form.keys()
        fields = [field['id'] for field in form['body'] if field['type'] != 'markdown']
        assert len(fields) == len(set(fields)) > 0
        for field in form['body']:
            assert field['type'] in {'markdown', 'textarea', 'input', 'dropdown', 'checkboxes'}
            if field['type'] != 'markdown':
                assert field['attributes']['label']


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments; comments are left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith('#')]
    joined = '\n'.join(lines).replace('\\\n', ' ')
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, rest) for name, rest in found]


def test_the_image_is_made_of_what_the_readme_installs(manifest, repository):
    steps = instructions((repository / 'Dockerfile').read_text())
    text = ' '.join(rest for _, rest in steps)

    assert {name for name, _ in steps} <= INSTRUCTIONS
    assert steps[0][0] == 'ARG'
    assert [name for name, _ in steps].count('FROM') == 1
    for name, rest in steps:
        if name in {'CMD', 'ENTRYPOINT', 'SHELL'}:
            assert all(isinstance(word, str) for word in json.loads(rest))
        if name == 'RUN' and 'apt-get install' in rest:
            assert '--no-install-recommends' in rest
            assert 'rm -rf /var/lib/apt/lists/*' in rest
        if name == 'COPY':
            source = rest.split()[0]
            assert (repository / source).exists()
    for needed in ('rosdep install', 'safetensors', 'colcon build --packages-select ttt3r_ros'):
        assert needed in text
    # The last user is not root.
    assert [rest for name, rest in steps if name == 'USER'] == ['1100']


def test_the_development_container_sets_up_what_make_needs(repository):
    container = json.loads((repository / '.devcontainer' / 'devcontainer.json').read_text())

    assert container['postCreateCommand'].endswith('make setup')
    settings = container['customizations']['vscode']['settings']
    interpreter = settings['python.defaultInterpreterPath']
    assert interpreter.removeprefix('${workspaceFolder}/') == '.venv/bin/python'


def test_every_dependency_of_the_manifest_is_installed_by_the_requirements_or_is_of_ros(
    manifest, repository
):
    product = (repository / 'requirements' / 'product.in').read_text().lower()
    own = {'python3-opencv': 'opencv', 'python3-pil': 'pillow', 'python3-yaml': 'pyyaml'}
    for depend in manifest.findall('exec_depend'):
        key = depend.text
        if not key.startswith('python3-'):
            continue
        name = own.get(key, key.removeprefix('python3-').removesuffix('-pip'))
        torch = (repository / 'requirements' / 'torch.txt').read_text()
        assert name in product or (name == 'pytorch' and 'torch==' in torch), key
