# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import argparse
from contextlib import contextmanager
import dataclasses
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import io
import random
import threading
import time

import pytest
from safetensors.torch import load_file
import torch

from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import (
    load_network,
    read_info,
    resolve_checkpoint,
    save_checkpoint,
)
from ttt3r_ros.model.predictor import chosen_rule
from ttt3r_ros.model.published.files import PUBLISHED, RemoteFile
from ttt3r_ros.model.published.names import with_aliases
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools.download import download, DownloadError, partial_path, RetryPolicy
from ttt3r_ros.tools.main import main

SIZE = 600_000  # several blocks
QUICK = RetryPolicy(timeout_seconds=2.0, attempts=3, first_pause_seconds=0.01)
TINY = Architecture.tiny()
TINY_CONFIG = (
    'Model(Config(state_size=20, img_size=(64, 64), enc_embed_dim=64, enc_depth=2, '
    'enc_num_heads=4, dec_embed_dim=32, dec_depth=4, dec_num_heads=2, state_dec_num_heads=4, '
    'local_mem_size=12))'
)


# --- a server that misbehaves ---------------------------------------------------------------


class Server:
    """Serves one file; each request is answered by the next behaviour, the last one stays."""

    def __init__(self, body, *behaviours):
        self.body = body
        self.behaviours = list(behaviours)
        self.ranges = []  # the Range header of each request, None where there is none
        self.if_ranges = []
        self.lock = threading.Lock()

    def answer(self, request):
        with self.lock:
            self.ranges.append(request.headers.get('Range'))
            self.if_ranges.append(request.headers.get('If-Range'))
            stays = len(self.behaviours) == 1
            behaviour = self.behaviours[0] if stays else self.behaviours.pop(0)
        behaviour(request, self.body)


@contextmanager
def serving(body, *behaviours):
    server = Server(body, *behaviours)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.answer(self)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        server.url = f'http://127.0.0.1:{listener.server_port}/file.pth'
        yield server
        listener.shutdown()


def head(request, status, **headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace('_', '-'), value)
    request.end_headers()


def start_of_range(request):
    wanted = request.headers.get('Range')
    return int(wanted.removeprefix('bytes=').removesuffix('-')) if wanted else None


def serve(request, body, stop=None, etag='"one"'):
    """Serve as a good server does, up to byte `stop` of the file."""
    start = start_of_range(request)
    if start is None:
        head(request, 200, Content_Length=len(body), ETag=etag)
    else:
        span = f'bytes {start}-{len(body) - 1}/{len(body)}'
        head(request, 206, Content_Length=len(body) - start, Content_Range=span, ETag=etag)
    request.wfile.write(body[start or 0 : stop])


def cut_off_at(stop):
    return lambda request, body: serve(request, body, stop)


def stall_at(stop):
    def behave(request, body):
        serve(request, body, stop)
        request.wfile.flush()
        time.sleep(6.0)

    return behave


def ignore_range(request, body, stop=None):
    head(request, 200, Content_Length=len(body))
    request.wfile.write(body[:stop])


def without_length(request, body):
    head(request, 200)
    request.wfile.write(body)


def endlessly(request, body):
    head(request, 200)
    request.wfile.write(body + body)


def web_page(request, body):
    head(request, 200, Content_Type='text/html; charset=utf-8')
    request.wfile.write(b'<!DOCTYPE html><title>Quota exceeded</title>')


def disguised_web_page(request, body):
    head(request, 200, Content_Type='application/octet-stream')
    request.wfile.write(b'<!DOCTYPE html>' + b' ' * len(body))


def wrong_bytes(request, body):
    serve(request, bytes(reversed(body)))


def wrong_length(request, body):
    head(request, 200, Content_Length=len(body) - 7)
    request.wfile.write(body[:-7])


def promise_too_much(request, body):
    """Send the right length, then fewer bytes, and close."""
    ignore_range(request, body, len(body) // 2)


def wrong_part(request, body):
    head(request, 206, Content_Range=f'bytes 5-{len(body) - 1}/{len(body)}')
    request.wfile.write(body)


def wrong_total(request, body):
    start = start_of_range(request)
    head(request, 206, Content_Range=f'bytes {start}-{len(body)}/{len(body) + 1}')


def status(code):
    return lambda request, body: head(request, code)


def redirect_to(url):
    return lambda request, body: head(request, 302, Location=url)


def hang_up(request, body):
    request.connection.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv('no_proxy', '*')


@pytest.fixture
def body():
    return random.Random(0).randbytes(SIZE)


def remote_file(body, *urls):
    return RemoteFile('file.pth', len(body), hashlib.sha256(body).hexdigest(), urls)


# --- downloading ----------------------------------------------------------------------------


def test_a_file_arrives_whole_and_alone(tmp_path, body):
    with serving(body, serve) as server:
        download(remote_file(body, server.url), tmp_path / 'file.pth', QUICK)

    assert (tmp_path / 'file.pth').read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == ['file.pth']


@pytest.mark.parametrize(
    ('behaviours', 'ranges'),
    [
        ([cut_off_at(400_000), serve], [None, 'bytes=400000-']),
        ([stall_at(400_000), serve], [None, 'bytes=400000-']),
        ([status(503), hang_up, serve], [None, None, None]),
        ([cut_off_at(300_000), ignore_range], [None, 'bytes=300000-']),
        ([cut_off_at(300_000), status(416), serve], [None, 'bytes=300000-', None]),
        ([without_length], [None]),
        ([promise_too_much, serve], [None, 'bytes=300000-']),
    ],
)
def test_a_download_recovers_from_a_passing_fault(tmp_path, body, behaviours, ranges):
    with serving(body, *behaviours) as server:
        download(remote_file(body, server.url), tmp_path / 'file.pth', QUICK)

    assert (tmp_path / 'file.pth').read_bytes() == body
    assert server.ranges == ranges


def test_many_short_steps_are_progress_and_no_failure(tmp_path, body):
    stops = [cut_off_at(stop) for stop in range(50_000, SIZE, 50_000)]
    assert len(stops) > QUICK.attempts

    with serving(body, *stops, serve) as server:
        download(remote_file(body, server.url), tmp_path / 'file.pth', QUICK)

    assert (tmp_path / 'file.pth').read_bytes() == body


def test_a_redirect_is_followed_and_keeps_the_range(tmp_path, body):
    partial_path(tmp_path / 'file.pth').write_bytes(body[:1000])
    with serving(body, serve) as good, serving(body, redirect_to(good.url)) as front:
        download(remote_file(body, front.url), tmp_path / 'file.pth', QUICK)

    assert (tmp_path / 'file.pth').read_bytes() == body
    assert good.ranges == ['bytes=1000-']


def test_a_new_run_goes_on_where_the_last_one_stopped(tmp_path, body):
    target = tmp_path / 'file.pth'
    kept = pytest.raises(DownloadError, match='250000 bytes are stored')
    with serving(body, cut_off_at(250_000), status(404)) as server, kept:
        download(remote_file(body, server.url), target, QUICK)
    assert not target.exists()

    with serving(body, serve) as server:
        download(remote_file(body, server.url), target, QUICK)

    assert server.ranges == ['bytes=250000-']
    assert target.read_bytes() == body


def test_a_retry_asks_for_the_same_version_of_the_file(tmp_path, body):
    with serving(body, cut_off_at(1000), serve) as server:
        download(remote_file(body, server.url), tmp_path / 'file.pth', QUICK)

    assert server.if_ranges == [None, '"one"']


@pytest.mark.parametrize(
    ('behaviour', 'told'),
    [
        (status(404), 'HTTP 404'),
        (status(503), 'HTTP 503'),
        (web_page, 'web page'),
        (disguised_web_page, 'web page'),
        (wrong_length, f'its file has {SIZE - 7} bytes instead of {SIZE}'),
        (wrong_part, 'another part'),
        (endlessly, 'sends more than'),
        (promise_too_much, 'the connection ended after'),
        (hang_up, ''),
        (wrong_bytes, 'sha256'),
    ],
)
def test_a_source_that_fails_for_good_is_left_for_the_next(tmp_path, body, behaviour, told):
    with serving(body, behaviour) as bad, serving(body, serve) as good:
        with pytest.raises(DownloadError) as caught:
            download(remote_file(body, bad.url), tmp_path / 'alone.pth', QUICK)
        download(remote_file(body, bad.url, good.url), tmp_path / 'both.pth', QUICK)

    assert told in str(caught.value)
    assert '127.0.0.1' in str(caught.value)
    assert not (tmp_path / 'alone.pth').exists()
    assert (tmp_path / 'both.pth').read_bytes() == body


def test_a_second_source_that_offers_another_file_costs_nothing_that_is_kept(tmp_path, body):
    target = tmp_path / 'file.pth'
    partial_path(target).write_bytes(body[:1000])
    with serving(body, wrong_total) as server, pytest.raises(DownloadError, match='1000 bytes'):
        download(remote_file(body, server.url), target, QUICK)

    assert partial_path(target).read_bytes() == body[:1000]


def test_wrong_bytes_are_deleted_and_said_to_be(tmp_path, body):
    deleted = pytest.raises(DownloadError, match=r'the bytes are wrong: sha256 is .* deleted')
    with serving(body, wrong_bytes) as server, deleted:
        download(remote_file(body, server.url), tmp_path / 'file.pth', QUICK)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('kept', [1000, SIZE, SIZE + 1])
def test_wrong_bytes_of_an_earlier_run_do_not_spoil_this_one(tmp_path, body, kept):
    target = tmp_path / 'file.pth'
    partial_path(target).write_bytes(b'x' * kept)
    with serving(body, serve) as server:
        download(remote_file(body, server.url), target, QUICK)

    assert target.read_bytes() == body
    assert server.ranges[-1] is None


def test_a_complete_earlier_download_needs_no_server(tmp_path, body):
    target = tmp_path / 'file.pth'
    partial_path(target).write_bytes(body)

    download(remote_file(body, 'http://127.0.0.1:9/'), target, QUICK)

    assert target.read_bytes() == body


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path, body):
    with pytest.raises(DownloadError, match=r'could not be downloaded .*refused'):
        download(remote_file(body, 'http://127.0.0.1:9/'), tmp_path / 'file.pth', QUICK)

    assert not list(tmp_path.iterdir())


# --- the commands ---------------------------------------------------------------------------


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return with_aliases(Network(TINY).state_dict())


@pytest.fixture
def pth(tmp_path, tensors):
    path = tmp_path / 'tiny.pth'
    torch.save({'model': tensors, 'args': argparse.Namespace(model=TINY_CONFIG)}, path)
    return path


@pytest.fixture
def published(monkeypatch, pth, tmp_path):
    """Make 512 the tiny file, on a server of this test, fetched into a temporary folder."""
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    body = pth.read_bytes()
    with serving(body, serve) as server:
        real = PUBLISHED['512']
        tiny = RemoteFile(real.name, len(body), hashlib.sha256(body).hexdigest(), (server.url,))
        monkeypatch.setitem(PUBLISHED, '512', tiny)
        yield server


def test_fetch_shows_the_licence_and_leaves_a_network_that_is_found_by_name(
    published, tmp_path, tensors, capsys
):
    assert main(['weights', 'fetch', '512', '--accept-license']) == 0

    assert 'CC BY-NC-SA 4.0' in capsys.readouterr().out
    target = tmp_path / 'data' / 'ttt3r_ros' / 'cut3r_512_dpt_4_64.safetensors'
    assert list(target.parent.iterdir()) == [target]
    network, info = load_network(target, 'cpu', 'strict')
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name])
    assert info.metadata['licence'] == 'CC BY-NC-SA 4.0'
    assert info.metadata['source_sha256'] == PUBLISHED['512'].sha256
    assert main(['weights', 'info', '512']) == 0
    assert 'CC BY-NC-SA 4.0' in capsys.readouterr().out
    assert main(['weights', 'verify', '512']) == 0


def test_fetch_does_nothing_where_the_network_is_there(published, capsys):
    main(['weights', 'fetch', '--accept-license'])
    asked = len(published.ranges)

    assert main(['weights', 'fetch', '--accept-license']) == 0

    assert len(published.ranges) == asked
    assert 'there already' in capsys.readouterr().out


def test_fetch_keeps_the_pth_file_on_request_and_uses_it_again(published, tmp_path):
    main(['weights', 'fetch', '--accept-license', '--keep', '--dtype', 'bfloat16'])
    folder = tmp_path / 'data' / 'ttt3r_ros'
    (folder / 'cut3r_512_dpt_4_64.safetensors').unlink()
    asked = len(published.ranges)

    assert main(['weights', 'fetch', '--accept-license', '--keep']) == 0

    assert len(published.ranges) == asked
    assert (folder / 'cut3r_512_dpt_4_64.pth').exists()


def test_fetch_refuses_a_pth_file_of_other_bytes_in_its_place(published, tmp_path, capsys):
    folder = tmp_path / 'data' / 'ttt3r_ros'
    folder.mkdir(parents=True)
    (folder / 'cut3r_512_dpt_4_64.pth').write_bytes(b'mine')

    assert main(['weights', 'fetch', '--accept-license']) == 1

    assert 'not the published file' in capsys.readouterr().err
    assert (folder / 'cut3r_512_dpt_4_64.pth').read_bytes() == b'mine'


def test_fetch_takes_a_mirror_and_still_checks_the_hash(published, monkeypatch, pth, capsys):
    monkeypatch.setattr('ttt3r_ros.tools.weights.download', quick_download)
    with serving(pth.read_bytes(), wrong_bytes) as mirror:
        assert main(['weights', 'fetch', '--accept-license', '--url', mirror.url]) == 1

    assert published.ranges == []
    assert 'the bytes are wrong' in capsys.readouterr().err


def quick_download(remote, target):
    download(remote, target, QUICK)


@pytest.mark.parametrize('url', ['file:///etc/passwd', 'ftp://host/file', 'nonsense', 'http://'])
def test_fetch_refuses_other_kinds_of_mirror(published, url, capsys):
    assert main(['weights', 'fetch', '--accept-license', '--url', url]) == 1

    assert 'must begin with http' in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ('stdin', 'code', 'told'),
    [
        (Terminal('yes\n'), 0, ''),
        (Terminal('no\n'), 1, 'not accepted'),
        (Terminal('\n'), 1, 'not accepted'),
        (Terminal(''), 1, 'not accepted'),
        (io.StringIO('yes\n'), 1, '--accept-license'),
    ],
)
def test_nothing_is_downloaded_before_the_licence_is_accepted(
    published, monkeypatch, capsys, stdin, code, told
):
    monkeypatch.setattr('sys.stdin', stdin)

    assert main(['weights', 'fetch', '512']) == code

    assert told in capsys.readouterr().err
    assert bool(published.ranges) == (code == 0)


def test_fetch_looks_at_the_room_on_the_disk_first(published, monkeypatch, capsys):
    huge = dataclasses.replace(PUBLISHED['512'], size=10**18)
    monkeypatch.setitem(PUBLISHED, '512', huge)

    assert main(['weights', 'fetch', '--accept-license']) == 1

    assert 'GB are needed' in capsys.readouterr().err
    assert published.ranges == []


def test_fetch_into_a_folder_that_cannot_be_made_is_one_clear_error(published, pth, capsys):
    assert main(['weights', 'fetch', '--accept-license', '--folder', str(pth / 'below')]) == 1

    assert 'cannot use the folder' in capsys.readouterr().err


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_convert_keeps_every_tensor_in_the_wanted_type(pth, tensors, dtype):
    assert main(['weights', 'convert', str(pth), '--dtype', dtype]) == 0

    stored = load_file(pth.with_suffix('.safetensors'))
    assert stored.keys() == {name for name in tensors if '.layer_rn.' not in name}
    for name, tensor in stored.items():
        assert torch.equal(tensor, tensors[name].to(getattr(torch, dtype)))


def test_convert_does_not_replace_its_own_input(pth, capsys):
    main(['weights', 'convert', str(pth)])
    converted = pth.with_suffix('.safetensors')

    assert main(['weights', 'convert', str(converted), '--dtype', 'float16']) == 1

    assert 'set another --output' in capsys.readouterr().err


def test_info_tells_what_the_file_is(pth, capsys):
    assert main(['weights', 'info', str(pth)]) == 0

    told = capsys.readouterr().out
    count = sum(p.numel() for p in Network(TINY).parameters())
    assert hashlib.sha256(pth.read_bytes()).hexdigest() in told
    assert f'{count:,}' in told
    assert 'float32' in told
    assert 'encoder_width        64' in told


def test_info_knows_the_checkpoint_that_ships_by_name(capsys):
    assert main(['weights', 'info', 'small']) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['architecture', 'small'] in lines


def test_verify_refuses_numbers_that_are_not_finite(tmp_path, tensors, capsys):
    path = tmp_path / 'tiny.pth'
    broken = {**tensors, 'enc_norm.bias': torch.full((64,), float('inf'))}
    torch.save({'model': broken, 'args': argparse.Namespace(model=TINY_CONFIG)}, path)

    assert main(['weights', 'verify', str(path)]) == 1

    assert 'enc_norm.bias' in capsys.readouterr().err


def test_verify_refuses_a_file_that_only_bears_a_published_name(pth, capsys):
    renamed = pth.rename(pth.with_name('cut3r_224_linear_4.pth'))

    assert main(['weights', 'verify', str(renamed)]) == 1

    assert 'not the published file of this name' in capsys.readouterr().err


def test_verify_notices_a_flipped_bit(tmp_path, tensors, capsys):
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, tensors, TINY, {})
    assert main(['weights', 'verify', str(path)]) == 0
    damaged = bytearray(path.read_bytes())
    damaged[-1000] ^= 1
    path.write_bytes(damaged)

    assert main(['weights', 'verify', str(path)]) == 1

    assert 'damaged' in capsys.readouterr().err


@pytest.mark.parametrize('command', ['info', 'verify', 'convert'])
def test_a_missing_file_is_one_clear_line(tmp_path, command, capsys):
    assert main(['weights', command, str(tmp_path / 'missing.pth')]) == 1

    assert capsys.readouterr().err.count('\n') == 1


def test_export_takes_the_image_size_and_the_gain_of_the_checkpoint(monkeypatch, tmp_path, capsys):
    taken = []
    monkeypatch.setattr(
        'ttt3r_ros.model.onnx_export.export_step', lambda *given: taken.append(given)
    )
    path = tmp_path / 'small.onnx'
    options = ['--output', str(path), '--resolution', '1280x720', '--dtype', 'float16']

    assert main(['weights', 'export', 'small', *options]) == 0

    [(network, rule, width, height, written)] = taken
    # 224 wide, 16:9, in whole patches of 16.
    assert (width, height, written) == (224, 112, path)
    assert rule == chosen_rule(ModelSettings(), read_info(resolve_checkpoint('small')))
    assert torch.float16 in {parameter.dtype for parameter in network.parameters()}
    assert 'for images of 224x112' in capsys.readouterr().out
