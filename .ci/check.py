"""Every test of the project: `make test`. The checks of the house come first, then every notebook with all its cells,
each in a process of its own. The last line is `N passed, N failed`.

`make check` runs the checks of the house alone, in seconds: `python .ci/check.py house`. Other words choose by name:
`python .ci/check.py windows links` runs every check and notebook that has one of them in its name."""
import ast, filecmp, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor, FIRST_COMPLETED, wait
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent # `Scripts` on Windows, where commands end in .exe
TIMEOUT = 1800 # s for one notebook
MAX_PICTURE, MAX_NOTEBOOK = 200_000, 2_000_000 # bytes
MAX_WIDTH, MAX_LINES = 120, 40 # characters of a line of code, lines of a code cell
SHORT_LINES, SHORT_CHARACTERS, SHORT_SHARE = 15, 600, 0.9 # this share of the code cells stays below both
MAX_PARAMETERS = 10
# of the site, in `make test`: a tutorial, results, a notebook with formulas, a command
SOME_PAGES = ['nbs/tutorials/01_first_steps.html', 'nbs/results/00_summary.html', 'nbs/models/05_scorers.html',
              'nbs/cli/02_score.html']
# from above to below
FOLDERS = ['', 'data', 'phantom', 'models', 'evaluate', 'deploy', 'report', 'cli', 'tutorials', 'results']
WORKERS = min(os.cpu_count(), 4)
# programs that some tests use and that no package of Python brings, with the Debian packages that do
PROGRAMS = {'dciodvfy': 'dicom3tools', 'Orthanc': 'orthanc orthanc-dicomweb'}
CHECKS, MINUTES = [], [] # in seconds; in a minute or two, so not for `make check`


def check(f): CHECKS.append(f); return f


def long_check(f): MINUTES.append(f); return f


# --- the files of the project

def files():
    "Paths from the root: what git would commit, or what is there where this is no git repository"
    r = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    if r.returncode == 0 and r.stdout: names = r.stdout.splitlines()
    else:
        made = {'.venv', '.git', 'runs', 'build', 'dist', '__pycache__', '.ipynb_checkpoints'}
        names = [o.relative_to(ROOT).as_posix() for o in ROOT.rglob('*') if not made & set(o.relative_to(ROOT).parts)]
        names = [o for o in names if not re.search(r'\.egg-info|^data/downloads|(^|/)data/cache/', o)]
    return sorted(o for o in names if (ROOT/o).is_file())


def notebooks(): return [o for o in files() if o.startswith('nbs/') and o.endswith('.ipynb')]


def copy_to(folder):
    for o in files():
        (folder/o).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT/o, folder/o)


def cells(path, kind='code'):
    "(number, cell) of a notebook's cells of one kind"
    found = json.loads((ROOT/path).read_text(encoding='utf-8'))['cells']
    return [(i, cell) for i, cell in enumerate(found) if cell['cell_type'] == kind]


def source(cell): return ''.join(cell['source'])


def syntax_trees():
    "(place, tree) of every code cell and every Python file"
    from IPython.core.inputtransformer2 import TransformerManager
    for p in notebooks():
        for i, o in cells(p): yield f'{p} cell {i}', ast.parse(TransformerManager().transform_cell(source(o)))
    for p in files():
        if p.endswith('.py'): yield p, ast.parse((ROOT/p).read_text(encoding='utf-8'))


def printed(cell):
    "The texts that a cell has printed or shown"
    for out in cell.get('outputs', []):
        yield ''.join(out.get('text', ''))
        yield from (''.join(data) for kind, data in out.get('data', {}).items() if kind.startswith('text/'))


def texts():
    "(place, text) of every file; of a notebook its cells and the text that they print"
    for p in files():
        if p in ('LICENSE',): continue
        if p.endswith('.ipynb'):
            for i, cell in cells(p) + cells(p, 'markdown'):
                yield f'{p} cell {i}', '\n'.join([source(cell), *printed(cell)])
        else:
            try: yield p, (ROOT/p).read_text(encoding='utf-8')
            except UnicodeDecodeError: pass


def none_of(found, what): assert not found, f'{what}:\n' + '\n'.join(found[:20])


# --- the house

def run_in_copy(command, folder):
    "Run an nbdev command in a copy of the project. To nbdev a notebook that it cannot read is only a warning"
    env = {k: v for k, v in os.environ.items() if k != 'IN_TEST'} # nbdev's commands do nothing where it is set
    r = subprocess.run([BIN/command], cwd=folder, env=env, capture_output=True, text=True)
    assert r.returncode == 0 and 'UserWarning' not in r.stderr, f'{command}: {r.stdout[-1000:]}{r.stderr[-3000:]}'


def differences(folder, start, end):
    "Files below `start` with the ending `end` that are not the same here and in `folder`"
    here = {o for o in files() if o.startswith(start) and o.endswith(end)}
    there = {o.relative_to(folder).as_posix() for o in (folder/start).rglob(f'*{end}') if '__pycache__' not in o.parts}
    return sorted(here ^ there | {o for o in here & there if not filecmp.cmp(ROOT/o, folder/o, shallow=False)})


@check
def notebooks_are_clean():
    "nbdev_clean changes nothing"
    assert notebooks(), 'no notebook in nbs'
    with tempfile.TemporaryDirectory() as d:
        copy_to(Path(d))
        run_in_copy('nbdev_clean', d)
        none_of(differences(Path(d), 'nbs/', '.ipynb'), 'run nbdev_clean')


@check
def library_is_in_step():
    "nbdev_export makes the same library, from nothing"
    with tempfile.TemporaryDirectory() as d:
        copy_to(Path(d))
        for o in (Path(d)/'swssl_nb').rglob('*.py'):
            if o.name != '__init__.py': o.unlink()
        run_in_copy('nbdev_export', d)
        none_of(differences(Path(d), 'swssl_nb/', '.py'), 'run nbdev_export, and delete modules that have no notebook')


@check
def readme_is_in_step():
    sys.path.insert(0, str(ROOT/'.ci'))
    from readme import page_pictures, readme
    assert (ROOT/'README.md').read_text(encoding='utf-8') == readme(), 'run make readme'
    for path, png in page_pictures().items():
        drawn = path.exists() and path.read_bytes() == png
        assert drawn, f'{path.name} is not the picture of its notebook: run make readme'


@check
def links_lead_somewhere():
    "Links between files of the project, in notebooks and in Markdown"
    pages = [(p, source(o)) for p in notebooks() for _, o in cells(p, 'markdown')]
    pages += [(p, (ROOT/p).read_text(encoding='utf-8')) for p in files() if p.endswith('.md')]
    found = [f'{p}: {o}' for p, text in pages for o in re.findall(r'\]\(([^)\s]+)\)', text)
             if not re.match(r'\w+:|#', o) and not (ROOT/p).parent.joinpath(o.split('#')[0]).exists()]
    none_of(found, 'links to nothing')


def headings(path):
    "The ids of a page's headings, as the site has them"
    from pages import slug
    text = (ROOT/path).read_text(encoding='utf-8')
    if path.endswith('.ipynb'): text = '\n'.join(source(o) for _, o in cells(path, 'markdown'))
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    return {slug(re.sub(r'\]\([^)]*\)', '', o)) for o in re.findall(r'^#+ +(.*)', text, re.M)}


@check
def links_find_their_heading():
    "`#heading` of a link is one of that page, written as Jupyter or as GitHub does"
    sys.path.insert(0, str(ROOT/'.ci'))
    from pages import slug
    pages = [(p, source(o)) for p in notebooks() for _, o in cells(p, 'markdown')]
    pages += [(p, (ROOT/p).read_text(encoding='utf-8')) for p in files() if p.endswith('.md')]
    found = []
    for p, text in pages:
        for place, mark in re.findall(r'\]\(([^)\s#:]*)#([^)\s]+)\)', text):
            to = os.path.relpath((ROOT/p).parent/place if place else ROOT/p, ROOT)
            if to.endswith(('.ipynb', '.md')) and slug(mark) not in headings(to): found.append(f'{p}: {place}#{mark}')
    none_of(found, 'links to no heading')


@check
def version_is_the_same_everywhere():
    from configparser import ConfigParser
    cfg = ConfigParser(delimiters=['=']); cfg.read(ROOT/'settings.ini', encoding='utf-8')
    version = cfg['DEFAULT']['version']
    init, log = (ROOT/'swssl_nb'/'__init__.py').read_text(), (ROOT/'CHANGELOG.md').read_text(encoding='utf-8')
    assert f'__version__ = "{version}"' in init, f'{version} is not in swssl_nb/__init__.py'
    assert re.search(rf'^## {re.escape(version)}\b', log, re.M), f'{version} is not in CHANGELOG.md'


def place_of(notebook):
    "Where a notebook stands in the house: (rank of its folder, its name); `core` is above all, `all` below all"
    path = Path(notebook).relative_to('nbs')
    folder = '' if len(path.parts) == 1 else path.parts[0]
    if path.name == '99_all.ipynb': return len(FOLDERS), path.name
    assert folder in FOLDERS, f'{notebook}: no folder of the house, see FOLDERS in .ci/check.py'
    return FOLDERS.index(folder), path.name


def modules():
    "module -> its notebook"
    found = {}
    for p in notebooks():
        for _, cell in cells(p):
            if m := re.search(r'^#\|\s*default_exp\s+(\S+)', source(cell), re.M): found[m[1]] = p
    assert found, 'no notebook has a default_exp'
    return found


def imported(module):
    "Names below swssl_nb that a module imports. nbdev writes relative imports"
    path = ROOT/'swssl_nb'/f"{module.replace('.', '/')}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ['swssl_nb', *module.split('.')][:-node.level] if node.level else []
            base = '.'.join([*above, *filter(None, [node.module])])
            yield base
            yield from (f'{base}.{a.name}' for a in node.names)


@check
def modules_import_only_from_above():
    "A notebook imports only modules of folders above its own, and of notebooks before it in its own"
    place, found = modules(), []
    for module, notebook in place.items():
        for other in sorted({o.removeprefix('swssl_nb.') for o in imported(module) if o.startswith('swssl_nb.')}):
            if other in place and place_of(place[other]) >= place_of(notebook):
                found.append(f'{notebook} imports {other}, which is {place[other]}')
    none_of(found, 'imports from below')


ASKED_BEFORE = {'wandb', 'atheris'} # `check_loggers` and `_check_atheris` ask whether they are there


def plain(name):
    "A package's name as pip compares it"
    return re.sub('[-_.]+', '-', name).lower()


def named_packages():
    "(packages of `requirements`, packages of the extras) in settings.ini"
    from configparser import ConfigParser
    cfg = ConfigParser(delimiters=['=']); cfg.read(ROOT/'settings.ini', encoding='utf-8')
    def of(line): return {plain(re.match(r'[\w.-]+', word)[0]) for word in cfg['DEFAULT'][line].split()}
    extras = [line for line in cfg['DEFAULT'] if line.endswith('_requirements') and line != 'dev_requirements']
    return of('requirements'), set().union(*map(of, extras))


def packages_imported(tree):
    "(package, how) of what a module imports: `at once`, `in a function`, or `tried` where its absence is caught"
    def walk(node, how):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and how == 'at once': how = 'in a function'
        if isinstance(node, ast.Import): yield from ((a.name.split('.')[0], how) for a in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level: yield node.module.split('.')[0], how
        caught = isinstance(node, ast.Try) and any(name_of(o.type) == 'ImportError' for o in node.handlers)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, 'tried' if caught and child in node.body else how)
    return set(walk(tree, 'at once'))


def not_required(tree, brought, required, extras):
    "Packages that a module imports though nothing brings them; `brought` says which distribution has which package"
    for name, how in sorted(packages_imported(tree)):
        if name in sys.stdlib_module_names or name == 'swssl_nb' or name in ASKED_BEFORE or how == 'tried': continue
        names = {plain(o) for o in brought.get(name, [name])}
        if not names & (required if how == 'at once' else required | extras): yield f'{name} ({how})'


@check
def imports_are_required():
    """What a module imports is Python's own or in `requirements`, not only brought by another package; in a function
    it may also be in an extra, or the function says that it is missing"""
    from importlib.metadata import packages_distributions
    (required, extras), brought = named_packages(), packages_distributions()
    found = [f'{o}: {name}' for o in files() if re.match(r'swssl_nb/.*\.py$', o)
             for name in not_required(ast.parse((ROOT/o).read_text(encoding='utf-8')), brought, required, extras)]
    none_of(found, 'not in settings.ini')
    seen = list(not_required(ast.parse(WRONG_IMPORTS), brought, required - {'scipy'}, extras))
    assert seen == ['nncf (at once)', 'packaging (in a function)', 'scipy (at once)'], seen


WRONG_IMPORTS = '''
import os, numpy, scipy.stats, nncf
def f():
    import packaging, nncf
    try: import hypothesis
    except ImportError: pass
'''


def learners_and_detectors():
    "(name, the function that makes it) of every `..._learner` and of every class `...Detector`"
    for module in modules():
        tree = ast.parse((ROOT/'swssl_nb'/f"{module.replace('.', '/')}.py").read_text(encoding='utf-8'))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.endswith('_learner'): yield node.name, node
            if isinstance(node, ast.ClassDef) and node.name.endswith('Detector'):
                yield from ((node.name, f) for f in node.body if getattr(f, 'name', '') == '__init__')


@check
def learners_have_few_parameters():
    "Parts are composed: no learner and no detector takes more than ten parameters, beside `self` and `**kwargs`"
    number = {}
    for name, f in learners_and_detectors():
        number[name] = sum(a.arg != 'self' for a in f.args.args + f.args.kwonlyargs)
    assert {'swssl_learner', 'salad_learner', 'SwsslDetector'} <= set(number), f'found only {sorted(number)}'
    found = [f'{name}: {n}' for name, n in number.items() if n > MAX_PARAMETERS]
    none_of(found, f'more than {MAX_PARAMETERS} parameters')


PICKLERS = ('pickle', 'dill', 'cloudpickle', 'joblib', 'shelve')


def name_of(f): return f.attr if isinstance(f, ast.Attribute) else getattr(f, 'id', '')


def has_on(call, key): return any(k.arg == key and getattr(k.value, 'value', None) is True for k in call.keywords)


def reads_pickle(node):
    "Whether a node of a syntax tree reads a pickle, or imports what does"
    if isinstance(node, ast.ImportFrom):
        return node.module in PICKLERS and any('load' in a.name or a.name == 'Unpickler' for a in node.names)
    if not isinstance(node, ast.Call): return False
    name = name_of(node.func)
    owner = name_of(node.func.value) if isinstance(node.func, ast.Attribute) else ''
    if owner == 'torch' and name == 'load': return not has_on(node, 'weights_only')
    if owner in PICKLERS: return name in ('load', 'loads', 'Unpickler', 'open')
    return name in ('load_learner', 'read_pickle') or has_on(node, 'allow_pickle')


@check
def nothing_is_unpickled():
    "No pickle is read, whoever reads it: torch.load with weights_only=True alone"
    found = [f'{where}: {ast.unparse(node)[:100]}' for where, tree in syntax_trees()
             for node in ast.walk(tree) if reads_pickle(node)]
    none_of(found, 'reads a pickle')


@check
def no_path_of_a_machine():
    "No folder of one machine; the real images in .ci/run alone, a package index (of CPU torch) in the Dockerfile alone"
    machine = re.compile(r'(?<![\w.~}])/(?:home|root|tmp|work|opt|mnt|farm|Users)/\w')
    data, index = re.compile(r'shared[/]data'), re.compile(r'--(?:extra-)?index[-]url|--find[-]links')
    found = []
    for where, text in texts():
        allowed = {'.ci/run': data, 'Dockerfile': index}.get(where)
        for what in {machine, index, data} - {allowed}:
            if m := what.search(text): found.append(f'{where}: {text[max(m.start()-20, 0):m.end()+40]!r}')
    none_of(found, 'names a place of one machine')


@check
def notebooks_read_well():
    "A name and a line first, small pictures, no stored error, no notebook that is never run"
    found = []
    for p in notebooks():
        if (size := (ROOT/p).stat().st_size) > MAX_NOTEBOOK: found.append(f'{p}: {size} bytes')
        if Path(p).name.startswith(('_', '.')): found.append(f'{p}: nbdev skips this name')
        every = json.loads((ROOT/p).read_text(encoding='utf-8'))['cells']
        kinds = {o['cell_type'] for o in every} - {'code', 'markdown', 'raw'}
        if kinds: found.append(f'{p}: cells of the kind {kinds}, which Jupyter refuses')
        first = every[0]
        if first['cell_type'] != 'markdown' or not re.match(r'# .+\n+> .+', source(first)):
            found.append(f'{p}: begins with no "# name" and "> one line"')
        for i, cell in cells(p):
            if re.search(r'skip_exec', source(cell)): found.append(f'{p} cell {i}: skip_exec')
            for out in cell['outputs']:
                if out['output_type'] == 'error': found.append(f"{p} cell {i}: stored error {out['ename']}")
                images = [data for kind, data in out.get('data', {}).items() if kind.startswith('image/')]
                sizes = [len(''.join(data)) * 3 // 4 for data in images]
                found += [f'{p} cell {i}: an image of {size} bytes' for size in sizes if size > MAX_PICTURE]
    none_of(found, 'notebooks')


@check
def cells_are_short():
    "No line of code over 120 characters, no cell over 40 lines, nine of ten under 15 lines and 600 characters"
    found, short = [], []
    for p in files():
        if not re.fullmatch(r'(\.ci/)?\w+\.py', p): continue # what no notebook makes
        text = (ROOT/p).read_text(encoding='utf-8')
        found += [f'{p}: {line[:60]}...' for line in text.splitlines() if len(line) > MAX_WIDTH]
    for p in notebooks():
        for i, cell in cells(p):
            lines = source(cell).splitlines()
            if not lines: continue
            if len(lines) > MAX_LINES: found.append(f'{p} cell {i}: {len(lines)} lines')
            found += [f'{p} cell {i}: a line of {len(line)} characters' for line in lines if len(line) > MAX_WIDTH]
            short.append(len(lines) < SHORT_LINES and len(source(cell)) < SHORT_CHARACTERS)
    none_of(found, 'cells too long to read')
    share = sum(short)/len(short)
    limit = f'under {SHORT_LINES} lines and {SHORT_CHARACTERS} characters'
    assert share >= SHORT_SHARE, f'{share:.1%} of {len(short)} code cells are {limit}, {SHORT_SHARE:.0%} should be'


# The field's words, one each. Left of the colon what is not written, right of it what is.
GLOSSARY = {
    r'films?': 'image',
    r'pictures?': 'image, or figure',
    r'strang(?:e|er|est)': 'abnormal, anomaly score',
    r'sick': 'abnormal',
    r'lit': 'above the threshold',
    r'heat': 'heatmap',
    r'witness(?:es)?': 'scorer',
    r'trivial': 'confounder',
    r'usable': 'valid mask',
    r'peers?': 'baseline',
    r'prepar(?:e|ed|es|ing)': 'preprocess',
    r'left[ _]out': 'skipped',
    r'reach(?= *=)': 'search radius',
    r'patches': 'windows'}
# Where older words are read: runs and tables that were written with them, options still accepted, labels of others
OLD_WORDS = {
    'models/06_detector': {'films', 'usable', 'prepare', 'left_out', 'heat', 'reach'},
    'report/01_card': {'films', 'prepare', 'left_out', 'heat'},
    'cli/01_train': {'reach'},
    'data/04_tables': {'sick'}}


@check
def words_are_those_of_the_field():
    "The glossary holds in code, options, messages and prose"
    word = re.compile(r'(?<![A-Za-z])(?:' + '|'.join(GLOSSARY) + r')(?![A-Za-z])', re.I)
    pages = [(p, f'{p} cell {i}', source(o)) for p in notebooks() for i, o in cells(p) + cells(p, 'markdown')]
    pages += [(p, p, (ROOT/p).read_text(encoding='utf-8')) for p in ('README.md', 'CONTRIBUTING.md')]
    found = []
    for path, place, text in pages:
        allowed = OLD_WORDS.get(path.removeprefix('nbs/').removesuffix('.ipynb'), set())
        wrong = [m for m in word.finditer(text) if m[0] not in allowed]
        found += [f'{place}: {text[max(m.start()-30, 0):m.end()+20]!r}' for m in wrong]
    none_of(found, 'not a word of the glossary (GLOSSARY in .ci/check.py says which is)')


@check
def import_is_light():
    "`import swssl_nb` brings neither torch nor fastai"
    heavy = "print(*[o for o in ('torch', 'fastai', 'timm', 'numpy', 'pandas', 'matplotlib') if o in sys.modules])"
    program = f'import swssl_nb, sys; {heavy}'
    r = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr[-2000:]
    assert not r.stdout.strip(), f'import swssl_nb imports {r.stdout.strip()}'


@check
def help_answers_at_once():
    "`swssl_nb --help` in under 0.5 s, the best of several, and it knows its commands"
    command, best = shutil.which('swssl_nb', path=BIN), float('inf')
    assert command, 'no command swssl_nb: install the project'
    for _ in range(7):
        start = time.perf_counter()
        r = subprocess.run([command, '--help'], cwd=ROOT, capture_output=True, text=True)
        best = min(best, time.perf_counter() - start)
        assert r.returncode == 0, f'exit code {r.returncode}: {r.stderr[-2000:]}'
    missing = [o for o in ('train', 'score', 'evaluate', 'report', 'demo') if not re.search(rf'\b{o}\b', r.stdout)]
    assert not missing, f'--help does not know {missing}'
    assert best < 0.5, f'--help took {best:.2f} s'


@long_check
def wheel_works_alone():
    "The built wheel is whole, and trains and scores in a folder where nothing else is"
    sys.path.insert(0, str(ROOT/'.ci'))
    from wheel import check_wheel
    check_wheel(copy_to, files())


@long_check
def site_reads_well():
    "A few pages of the site: built without a warning, every link followed, opened in Chromium. `make site` does all"
    sys.path.insert(0, str(ROOT/'.ci'))
    from browser import look
    from pages import broken, build, debris
    opened = ['index.html', *SOME_PAGES, 'nbs/index.html', 'nbs/cli/index.html']
    with tempfile.TemporaryDirectory() as site:
        build(site, [o.removesuffix('.html') for o in SOME_PAGES])
        none_of(broken(site)[0] + debris(site) + look(site, opened), 'pages of the site')


BAD_PAGE = """<html><body><img src="none.png"><a href="#nowhere">a</a>
<script src="https://x.invalid/a.js"></script>
<pre>#| export</pre><div style="width: 2000px">wide</div>
<script>console.error('an error')</script></body></html>"""


@long_check
def site_faults_are_found():
    "The checks of the site name what is wrong with a bad page"
    sys.path.insert(0, str(ROOT/'.ci'))
    from browser import look
    from pages import Pages, broken, debris
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'bad.html').write_text(BAD_PAGE)
        found = broken(d)[0] + debris(d)
        opened = '\n'.join(look(d, ['bad.html', 'none.html'], sought=None))
        pages = Pages(Path(d), 'repository')
        pages.link('none.ipynb', 'nbs/map.ipynb')
        pages.link('none.png', 'nbs/map.ipynb')
    named = [o.split()[-1].strip("'") for o in found]
    assert named == ['https://x.invalid/a.js', '#nowhere', 'none.png', 'export'], found
    for o in ('pixels wide', 'no picture', 'an error', 'asks for', 'none.html was not') if opened else ():
        assert o in opened, f'{o!r} is not in {opened}'
    assert len(pages.missing) == 2, pages.missing


def page_config(config):
    "What JupyterLab tells its page, started with a folder of settings"
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    command = [BIN/'jupyter-lab', '--no-browser', '--ServerApp.ip=127.0.0.1', f'--ServerApp.port={port}',
               '--IdentityProvider.token=', '--allow-root', f'--ServerApp.root_dir={config}']
    env = dict(os.environ, JUPYTER_CONFIG_DIR=config, JUPYTER_DATA_DIR=config, JUPYTER_RUNTIME_DIR=config)
    p = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert p.poll() is None, f'jupyter-lab ended with exit code {p.returncode}'
            try: text = urlopen(f'http://127.0.0.1:{port}/lab').read().decode()
            except OSError: time.sleep(0.2)
            else: return json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.S)[1])
        raise AssertionError('JupyterLab does not answer')
    finally:
        p.terminate()
        p.wait()


@long_check
def lab_opens_without_news():
    "JupyterLab with the settings that .ci/install.py writes neither asks for news nor fetches any"
    sys.path.insert(0, str(ROOT/'.ci'))
    from install import quiet_lab
    with tempfile.TemporaryDirectory() as config:
        quiet_lab(config)
        disabled = page_config(config)['disabledExtensions']
    assert '@jupyterlab/apputils-extension:announcements' in disabled, f'only {disabled} are off'


# --- running it all

def kill(p):
    "End a notebook's process and those it started"
    if not hasattr(os, 'killpg'): return p.kill() # Windows knows no groups of processes
    try: os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError: pass


running = {} # notebook -> its process and when it started


def start_notebook(path, cache, scratch):
    "The process that tests a notebook, slow cells included"
    threads = str(max(1, os.cpu_count() // WORKERS))
    env = dict(os.environ, SWSSL_NB_CACHE=cache, TMPDIR=scratch)
    env.update(dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), threads))
    return subprocess.Popen([BIN/'nbdev_test', '--path', path, '--flags', 'slow'], cwd=ROOT, env=env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors='replace', start_new_session=True)


def run_notebook(path, cache):
    "`test_notebook`; the temporary files that it leaves are removed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch: return test_notebook(path, cache, scratch)


def test_notebook(path, cache, scratch):
    "As nbdev_test runs it, with the slow cells. Returns None, or what went wrong"
    p = start_notebook(path, cache, scratch)
    running[path] = p, time.time()
    try: out, late = p.communicate(timeout=TIMEOUT)[0], ''
    except subprocess.TimeoutExpired:
        kill(p)
        out, late = p.communicate()[0], f'\nstopped after {TIMEOUT} s'
    finally: running.pop(path)
    kill(p)
    # nbdev_test also ends well where it found nothing to run
    if p.returncode == 0 and re.search(r'^Success\.$', out, re.M): return None
    return '\n'.join(out.splitlines()[-40:]) + (late or f'\nexit code {p.returncode}')


def has_slow(path): return any(re.search(r'^#\|\s*slow', source(o), re.M) for _, o in cells(path))


def run_check(f):
    try: f()
    except Exception as e: return f'{type(e).__name__}: {e}'.removeprefix('AssertionError: ')


def say(name, problem, start):
    print(f"{'FAIL' if problem else 'ok  '} {time.time() - start:6.1f} s  {name}", flush=True)
    if problem: print('\n'.join(f'       {o}' for o in problem.splitlines()), flush=True)
    return not problem


def still_running():
    return ', '.join(f'{Path(path).stem} for {time.time() - start:.0f} s' for path, (_, start) in list(running.items()))


def run_notebooks(names):
    "The long ones first, a few at a time; says how each ended, and every minute what still runs"
    results = []
    # images preprocessed by an older version must not pass a test, nor stay behind
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(WORKERS) as pool:
        def timed(path): start = time.time(); return path, run_notebook(path, cache), start
        left = {pool.submit(timed, o) for o in sorted(names, key=lambda o: (not has_slow(o), o))}
        try:
            while left:
                done, left = wait(left, timeout=60, return_when=FIRST_COMPLETED)
                results += [say(*o.result()) for o in done]
                if not done: print('     ...      ', still_running(), flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for p, _ in list(running.values()): kill(p)
            raise
    return results


def main(words):
    os.chdir(ROOT)
    house = words == ['house']
    def wanted(name): return not words or any(o in name for o in words)
    before, results = set(files()), []
    for f in CHECKS if house else CHECKS + MINUTES:
        if house or wanted(f.__name__):
            start = time.time()
            results.append(say(f.__name__.replace('_', ' '), run_check(f), start))
    names = [] if house else [o for o in notebooks() if wanted(o)]
    if names:
        data = os.environ.get('SWSSL_NB_DATA') or 'none here, tests with them are skipped'
        print(f'{len(names)} notebooks, {WORKERS} at a time; real images: {data}', flush=True)
        for program, package in PROGRAMS.items():
            if not shutil.which(program):
                print(f'no {program} (Debian: {package}): tests with it are skipped', flush=True)
        results += run_notebooks(names)
        start, new = time.time(), sorted(set(files()) - before)
        results.append(say('notebooks leave no file behind', '\n'.join(new), start))
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed', flush=True)
    return not results or not all(results)


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
