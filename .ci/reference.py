"""The API pages of the site: signatures and docments of the modules, read without importing them. One page a folder,
and one of the names in `swssl_nb.all`."""
import ast, io, re, tokenize
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Entry:
    name: str # as one types it: `Cases.split_by_patient`
    node: ast.AST # its function or class
    module: 'Module'


class Module:
    "One file of the library"
    def __init__(self, path):
        self.path = path # below the root, as swssl_nb/models/scorers.py
        self.text = (ROOT/path).read_text(encoding='utf-8')
        self.tree = ast.parse(self.text)
        self.name = re.sub(r'\.py$', '', path.removeprefix('swssl_nb/')).replace('/', '.')
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        self.comments = {o.start[0]: o.string.lstrip('# ').strip() for o in tokens if o.type == tokenize.COMMENT}
        found = re.search(r'File to edit: (?:\.\./)*(\S+)\.$', self.text, re.M)
        self.notebook = found and found[1]

    def public(self):
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and name_of(node.targets[0]) == '__all__':
                return ast.literal_eval(node.value)
        return []

    def entries(self):
        "Exported functions and classes with their methods, and methods that the module gives to classes of others"
        public = set(self.public())
        for node in self.tree.body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)): continue
            owner = patched_class(node)
            if owner and not f'{owner}{node.name}'.startswith('_') and not node.name.startswith('_'):
                yield Entry(f'{owner}.{node.name}', node, self)
            if node.name not in public or owner: continue
            yield Entry(node.name, node, self)
            if isinstance(node, ast.ClassDef):
                methods = [o for o in node.body if isinstance(o, ast.FunctionDef) and o.name[0] != '_']
                yield from (Entry(f'{node.name}.{o.name}', o, self) for o in methods)


def name_of(node): return getattr(node, 'id', getattr(node, 'attr', ''))


def patched_class(node):
    "The class that fastcore's `@patch` gives a function to, or None"
    names = [name_of(o.func if isinstance(o, ast.Call) else o) for o in node.decorator_list]
    if 'patch' not in names: return None
    kind = node.args.args[0].annotation
    return name_of(kind.elts[0] if isinstance(kind, ast.Tuple) else kind) or ast.unparse(kind)


def arguments(node):
    "(name, ast of the type, ast of the default, line where it ends) of a function or of a class's fields"
    if isinstance(node, ast.ClassDef):
        init = next((o for o in node.body if getattr(o, 'name', '') == '__init__'), None)
        if init: return arguments(init)
        return [(o.target.id, o.annotation, o.value, o.end_lineno) for o in node.body if isinstance(o, ast.AnnAssign)]
    a = node.args
    plain = a.posonlyargs + a.args
    default = [None]*(len(plain) - len(a.defaults)) + a.defaults + [None]*bool(a.vararg) + a.kw_defaults
    every = list(zip(plain + [a.vararg]*bool(a.vararg) + a.kwonlyargs, default)) + [(a.kwarg, None)]*bool(a.kwarg)
    stars = {id(a.vararg): '*', id(a.kwarg): '**'}
    return [(stars.get(id(o), '') + o.arg, o.annotation, d, (d or o).end_lineno) for o, d in every
            if o.arg not in ('self', 'cls')]


def written(node): return '' if node is None else ast.unparse(node)


def is_property(node):
    decorators = [written(o) for o in getattr(node, 'decorator_list', [])]
    return any('property' in o or 'as_prop=True' in o for o in decorators)


def signature(entry):
    "As one calls it, a parameter a line where it is long"
    if is_property(entry.node): return entry.name
    parts = [name + (f'={written(default)}' if default else '') for name, _, default, _ in arguments(entry.node)]
    short = f"{entry.name}({', '.join(parts)})"
    return short if len(short) < 90 else f'{entry.name}(\n    ' + ',\n    '.join(parts) + ')'


def returned(entry):
    "(type, comment) of what a function returns"
    node = entry.node
    if isinstance(node, ast.ClassDef) or node.returns is None: return None
    first = node.body[0].lineno
    line = node.returns.end_lineno
    return written(node.returns).strip('\'"'), entry.module.comments.get(line, '') if line <= first else ''


def cell(text): return text.replace('|', '&#124;').replace('<', '&lt;')


def code(text): return f"`{text}`".replace('|', '\\|') if text else ''


def table(entry):
    "Its docments: parameter, type, default, what it is"
    comments = entry.module.comments
    rows = [[code(name), code(written(kind).strip('\'"')), code(written(default)), cell(comments.get(line, ''))]
            for name, kind, default, line in arguments(entry.node)]
    if back := returned(entry): rows.append(['returns', code(back[0]), '', cell(back[1])])
    if not any(o[1] or o[3] for o in rows): return ''
    head = ['parameter', 'type', 'default', 'what it is'], ['---']*4
    return '\n'.join('| ' + ' | '.join(o) + ' |' for o in [*head, *rows])


def said(entry): return (ast.get_docstring(entry.node) or '').strip()


def source_link(entry, blob):
    node = entry.node
    first = min([node.lineno, *(o.lineno for o in node.decorator_list)])
    return f'{blob}/{entry.module.path}#L{first}-L{node.end_lineno}'


def mark(entry):
    "The id of its heading: two modules of a folder may have one name in common"
    return f'{entry.module.name}.{entry.name}'


def text_of(entry, blob):
    owner, _, method = entry.name.partition('.')
    level = '####' if method and owner in entry.module.public() else '###'
    name = entry.name.replace('_', '\\_') # no emphasis
    parts = [f'{level} {name} {{ #{mark(entry)} }}', f'[source]({source_link(entry, blob)})',
             f'```python\n{signature(entry)}\n```', said(entry), table(entry)]
    return '\n\n'.join(filter(None, parts))


def modules(folder=None):
    "Modules of a folder, in the order of their notebooks"
    files = (ROOT/'swssl_nb').glob(f'{folder}/*.py' if folder else '*.py')
    found = [Module(o.relative_to(ROOT).as_posix()) for o in files if not o.name.startswith('_')]
    return sorted((o for o in found if o.notebook), key=lambda o: o.notebook)


def page(title, line, found, blob, to):
    "The API page of some modules; `to(notebook)` is the link to a notebook's page"
    parts = [f'# {title}', f'> {line}']
    for module in found:
        entries = list(module.entries())
        if not entries: continue
        name = Path(module.notebook).stem
        parts += [f'## {module.name}', (ast.get_docstring(module.tree) or '').strip(),
                  f'Made, drawn and tested in [{name}]({to(module.notebook)}).']
        parts += [text_of(o, blob) for o in entries]
    return '\n\n'.join(parts) + '\n'


def names(where):
    "The names of `swssl_nb.all`, each with its line, as rows of a table; `where(entry)` is its place in the site"
    every = Module('swssl_nb/all.py')
    rows = []
    for node in every.tree.body:
        if not isinstance(node, ast.ImportFrom) or not node.level: continue
        path = f"swssl_nb/{(node.module or '').replace('.', '/')}.py"
        if not (ROOT/path).exists(): continue
        found = {o.name: o for o in Module(path).entries()}
        for name in (o.name for o in node.names):
            if entry := found.get(name):
                rows.append(f'| [`{name}`]({where(entry)}) | {cell(said(entry).splitlines()[0])} |')
    return rows
