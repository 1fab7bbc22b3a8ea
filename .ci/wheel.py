"""The package as others get it: a wheel, in a folder of its own, away from this checkout. `make test` calls it."""
import math, os, shutil, subprocess, sys, tempfile, time, zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The default method from its first image to its scores, as small as it goes: `demo` itself needs minutes
TRAIN = ('train swssl --layout phantom --data 8,0 --size 128 --epochs 1 --seed 0 --false-positive-rate 0.34 '
         '--set window=64 --set draws=16 --out run').split()
SCORE = 'score --run run image.png --csv scores.csv'.split()
# Every module, each imported; then an image to score
IMPORT = """
import importlib, pkgutil, sys, swssl_nb
names = [o.name for o in pkgutil.walk_packages(swssl_nb.__path__, 'swssl_nb.') if not o.name.endswith('__main__')]
for name in names: importlib.import_module(name)
away = [o for o in names if not sys.modules[o].__file__.startswith(sys.argv[1])]
assert not away and len(names) > 40, (len(names), away)
from swssl_nb.all import *
from PIL import Image
Image.fromarray((phantom(1, 0)[0].radiograph()*255).astype('uint8')).save('image.png')
"""


def do(command, **kwargs):
    r = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors='replace',
                       stdin=subprocess.DEVNULL, **kwargs)
    if r.returncode: raise AssertionError(f'{command[:6]}: {r.stdout[-1500:]}{r.stderr[-3000:]}')
    return r.stdout


def build(source, folder):
    "The wheel of the project in `source`, by what this environment has: nothing is fetched"
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--no-cache-dir']
    do([*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '-w', folder/'dist', source])
    wheel, = (folder/'dist').glob('*.whl')
    do([*pip, 'install', '--no-deps', '--no-index', '--target', folder/'target', wheel])
    return wheel


def what_is_missing(wheel, names):
    "What a wheel lacks, and what it should not hold; `names` are the project's files"
    with zipfile.ZipFile(wheel) as z:
        inside = set(z.namelist())
        head = Parser().parsestr(z.read(next(o for o in inside if o.endswith('/METADATA'))).decode())
    package = {o for o in names if o.startswith('swssl_nb/')}
    found = [f'{o} is not in the wheel' for o in sorted(package - inside)]
    if 'swssl_nb/py.typed' not in inside: found.append('no py.typed')
    if not any(o.endswith('/LICENSE') for o in inside): found.append('no LICENSE')
    found += [f'{o} does not belong into the wheel' for o in sorted(inside - package) if '.dist-info/' not in o]
    return found + _requirements_missing(head)


def _requirements_missing(head):
    "Requirements and extras of settings.ini that the wheel does not tell pip"
    cfg = ConfigParser(delimiters=['='])
    cfg.read(ROOT/'settings.ini', encoding='utf-8')
    told = [o.split(';')[0] for o in head.get_all('Requires-Dist', []) if 'extra ==' not in o]
    name = lambda o: o.split(';')[0].split('>')[0].split('<')[0].split('=')[0].strip().lower().replace('_', '-')
    found = {name(o) for o in cfg['DEFAULT']['requirements'].split()} - {name(o) for o in told}
    extras = {o.removesuffix('_requirements') for o in cfg['DEFAULT'] if o.endswith('_requirements')}
    found |= extras - set(head.get_all('Provides-Extra', []))
    return [f'{o} is not among the requirements of the wheel' for o in sorted(found)]


def use(folder):
    "Import all of it, train and score, from an empty folder where nothing but the wheel is found first"
    target, empty = (folder/'target').resolve(), folder/'empty'
    empty.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(('SWSSL_NB_', 'PYTHON'))}
    env.update(PYTHONPATH=str(target), SWSSL_NB_CACHE=str(folder/'cache'), PYTHONDONTWRITEBYTECODE='1')
    here = dict(cwd=empty, env=env)
    do([sys.executable, '-W', 'ignore', '-c', IMPORT, target], **here)
    command = shutil.which('swssl_nb', path=target/'bin')
    assert command, 'the wheel brings no command swssl_nb'
    do([command, *TRAIN], **here)
    do([command, *SCORE], **here)
    head, row = (empty/'scores.csv').read_text(encoding='utf-8').splitlines()
    score = dict(zip(head.split(','), row.split(',')))['score']
    assert math.isfinite(float(score)), f'the score is {score!r}'
    assert {o.name for o in empty.iterdir()} == {'image.png', 'run', 'scores.csv'}, 'files that nobody asked for'


def check_wheel(copy_to, names):
    "Build, look into, install and use; `copy_to` copies the project, whose files are `names`, into a folder"
    start = time.time()
    with tempfile.TemporaryDirectory() as d:
        folder = Path(d)
        copy_to(folder/'source')
        wheel = build(folder/'source', folder)
        if found := what_is_missing(wheel, names): raise AssertionError('\n'.join(found[:20]))
        use(folder)
    print(f'     {time.time() - start:6.1f} s  for the wheel', flush=True)
