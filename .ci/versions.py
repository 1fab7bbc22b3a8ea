"""Some of the tests with the oldest packages that settings.ini admits, and with the newest:
`python .ci/versions.py lowest` and `python .ci/versions.py newest`, then notebooks, unless those below.

Each makes an environment of its own, several GB, in a folder for temporary files; `--keep DIR` keeps it, and takes it
again.
PyTorch is the one of this environment in both: it is large, and other releases were not there to be tried."""
import argparse, os, re, shutil, subprocess, sys, tempfile, venv
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

root = Path(__file__).resolve().parents[1]
fixed = 'torch', 'torchvision'
tools = 'dev_requirements' # these have the versions of settings.ini in both
needed = ('nbdev execnb fastcore ghapi plum-dispatch fasttransform nbconvert nbclient ipykernel hypothesis '
    'highdicom dicomweb-client pydicom-data python-fasthtml').split()
notebooks = '''00_core data/00_dicom data/01_radiograph data/04_tables data/08_cache models/02_encoder
    models/06_detector models/10_swssl models/15_salad evaluate/02_metrics evaluate/04_calibrate evaluate/11_protocol
    report/02_html report/07_dicom_out cli/02_score'''.split()


def settings():
    "What settings.ini says"
    parser = ConfigParser(delimiters=['='])
    parser.read(root/'settings.ini', encoding='utf-8')
    return parser['DEFAULT']


def plain(name):
    "A package's name as pip compares it"
    return re.sub('[-_.]+', '-', name).lower()


def parts(requirement):
    "(name, lowest version or None) of `scipy>=1.13`"
    name, lowest = re.match(r'([\w.-]+)(?:.*?>=([\w.]+))?', requirement).groups()
    return name, lowest


def of_this_system(words):
    "The requirements without those of another system"
    return [word for word in words if 'sys_platform' not in word]


def names_of(requirements):
    "The packages of a line of settings.ini"
    return [parts(word)[0] for word in of_this_system(requirements.split())]


def needs(which):
    "What pip shall install, and its constraints"
    found = settings()
    of_tools = [word for word in found[tools].split() if plain(parts(word)[0]) in needed]
    words = of_this_system(found['requirements'].split()) + of_tools
    constraints = [f'{name}=={version(name).split("+")[0]}' for name in fixed]
    if which == 'lowest':
        bounds = {}
        for name, low in map(parts, words): bounds[name] = bounds.get(name) or low
        constraints += [f'{name}=={low}' for name, low in bounds.items() if low and name not in fixed]
        open_ended = [name for name in names_of(found['requirements']) if not bounds[name]]
        if open_ended: sys.exit(f"no lowest version in settings.ini: {' '.join(open_ended)}")
    return words, constraints


def make(folder, which):
    "The environment; its Python"
    python = folder/'bin'/'python'
    if python.exists(): return python
    venv.create(folder, with_pip=True)
    words, constraints = needs(which)
    (folder/'constraints.txt').write_text('\n'.join(constraints) + '\n')
    pip = [python, '-m', 'pip', 'install', '--quiet', '--upgrade', '-c', folder/'constraints.txt', *words]
    if subprocess.run(pip, cwd=root).returncode:
        shutil.rmtree(folder)
        sys.exit(f'{which}: pip finds no such versions')
    return python


def versions(python):
    "What is installed of the requirements, as `name version`"
    names = names_of(settings()['requirements'])
    program = '''import sys
from importlib.metadata import version
print(*[f"{name} {version(name)}" for name in sys.argv[1:]], sep=", ")'''
    return subprocess.run([python, '-c', program, *names], capture_output=True, text=True, check=True).stdout.strip()


def passes(python, notebook):
    "Whether the tests of a notebook pass; what went wrong is printed"
    env = dict(os.environ, PYTHONPATH=str(root), OMP_WAIT_POLICY='passive')
    words = [python.parent/'nbdev_test', '--path', f'nbs/{notebook}.ipynb', '--flags', 'slow', '--n_workers', '0']
    ran = subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    good = ran.returncode == 0
    print(f"{'passed' if good else 'FAILED'}  {notebook}", flush=True)
    if not good: print('\n'.join((ran.stdout + ran.stderr).splitlines()[-25:]), flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('which', choices=('lowest', 'newest'))
    p.add_argument('notebooks', nargs='*', default=notebooks, help='as models/06_detector')
    p.add_argument('--keep', metavar='DIR', help='where the environment is, or shall stay')
    args = p.parse_intermixed_args()
    folder = Path(args.keep or tempfile.mkdtemp()).resolve()
    try:
        python = make(folder, args.which)
        print(f'{args.which}: {versions(python)}', flush=True)
        failed = [name for name in args.notebooks if not passes(python, name)]
    finally:
        if not args.keep: shutil.rmtree(folder, ignore_errors=True)
    print(f'{args.which}: {len(args.notebooks) - len(failed)} passed, {len(failed)} failed')
    return int(bool(failed))


if __name__ == '__main__': sys.exit(main())
